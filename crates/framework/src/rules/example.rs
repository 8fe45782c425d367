/// A snippet file of a rule.
#[derive(Debug, PartialEq, Eq)]
pub struct Example(pub(crate) &'static str);

/// The part of a template or policy that a snippet shows, derived from its first keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Snippet<'e> {
    /// A whole template.
    Template(&'e str),
    /// A template before and after an update, separated by `---`.
    Update(&'e str, &'e str),
    /// `Properties` of a framework.
    Properties(&'e str),
    /// Items of `FrameworkControls`.
    Controls(&'e str),
    /// Items of `FrameworkControls` that are repeated with a number instead of `N`: `# Repeated 51 times, …`.
    Repeated(usize, &'e str),
    /// Entries of `Resources`.
    Resources(&'e str),
    /// The Region of a target in a policy.
    Region(&'e str),
    /// The account and Region of a target in a policy, and the controls of the framework: `# In 111111111111 and eu-west-1`.
    Deployed(&'e str, &'e str, &'e str),
}

impl Example {
    /// Returns the snippet with its kind.
    pub fn snippet(&self) -> Snippet<'_> {
        let text = self.0;
        if let Some((before, after)) = text.split_once("---\n") {
            return Snippet::Update(before, after);
        }
        if let Some((times, controls)) = text.strip_prefix("# Repeated ").and_then(|rest| rest.split_once('\n')) {
            let times = times.split(' ').next().and_then(|times| times.parse().ok());
            return Snippet::Repeated(times.unwrap_or_default(), controls);
        }
        let deployed = text.strip_prefix("# In ").and_then(|rest| rest.split_once('\n'));
        if let Some((target, controls)) = deployed
            && let Some((account, region)) = target.split_once(" and ")
        {
            return Snippet::Deployed(account, region, controls);
        }
        let region = text.strip_prefix("regions: [").and_then(|rest| rest.strip_suffix("]\n"));
        match region {
            Some(region) => Snippet::Region(region),
            None if text.starts_with("- ") => Snippet::Controls(text),
            None if text.starts_with("Framework") => Snippet::Properties(text),
            None if text.split_once('\n').is_some_and(|(_, rest)| rest.starts_with("  Type: ")) => {
                Snippet::Resources(text)
            }
            None => Snippet::Template(text),
        }
    }

    /// Returns the template that contains the snippet; of an update, the new one.
    pub fn template(&self) -> String {
        let indented = |text: &str, by: usize| -> String {
            text.trim_end().lines().map(|line| format!("{:by$}{line}\n", "")).collect()
        };
        let properties = |text: &str| {
            let head = "Resources:\n  Framework:\n    Type: AWS::Backup::Framework\n    Properties:\n";
            format!("{head}{}", indented(text, 6))
        };
        let with = |controls: &str| {
            properties(&format!("FrameworkName: org_backup\nFrameworkControls:\n{}", indented(controls, 2)))
        };
        match self.snippet() {
            Snippet::Template(text) | Snippet::Update(_, text) => text.to_owned(),
            Snippet::Properties(text) => properties(text),
            Snippet::Controls(text) | Snippet::Deployed(_, _, text) => with(text),
            Snippet::Repeated(times, control) => {
                with(&(1..=times).map(|n| control.replace("-N", &format!("-{n}"))).collect::<String>())
            }
            Snippet::Resources(text) => {
                let control = "FrameworkControls:\n  - ControlName: BACKUP_RECOVERY_POINT_ENCRYPTED\n";
                format!("{}{}", properties(control), indented(text, 2))
            }
            Snippet::Region(_) => String::new(),
        }
    }
}
