//! The names of the Config rules that Audit Manager creates.

use super::{CONTROLS, Control, config_type};

/// The parsed name of a Config rule of Audit Manager.
///
/// AWS documents no grammar. Observed are `<control>-<uuid>` and `<TYPE>-<control>-<uuid>`, the control with and without its `BACKUP_`.
/// The names of Config managed rules (`AURORA_LAST_BACKUP_RECOVERY_POINT_CREATED`) are parsed too. The uuid is the framework's and
/// differs in every account and Region, so a whole name must never be compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleName {
    /// The control, if known.
    pub control: Option<&'static Control>,
    /// The resource type before the control's name, in capitals, such as `AURORA`.
    pub kind: Option<String>,
    /// The unparsed name.
    pub raw: String,
}

impl RuleName {
    /// Parses a rule name. An unknown name has neither control nor kind.
    pub fn parse(text: &str) -> Self {
        let name = without_uuid(text.trim()).to_ascii_uppercase();
        let found = spellings()
            .filter_map(|(spelling, control)| Some((spelling.len(), control, prefix(&name, spelling)?)))
            // A spelling may end in another, so the longest match is the right one.
            .max_by_key(|(length, _, _)| *length);
        let (control, kind) = found.map(|(_, control, kind)| (control, kind)).unzip();
        Self { control, kind: kind.flatten(), raw: text.to_owned() }
    }

    /// Returns the Config type of the rule's resources, if the name has one.
    pub fn resource_type(&self) -> Option<&'static str> {
        match (&self.kind, self.control?.resource_types) {
            (Some(kind), _) => config_type(kind),
            (None, [only]) => Some(only),
            (None, _) => None,
        }
    }
}

/// Returns the spellings of a control in rule names.
fn spellings() -> impl Iterator<Item = (&'static str, &'static Control)> {
    CONTROLS.iter().flat_map(|control| {
        [Some(control.name), control.name.strip_prefix("BACKUP_"), control.managed_rule]
            .into_iter()
            .flatten()
            .map(move |spelling| (spelling, control))
    })
}

/// Returns the part before the control: empty, or a resource type. `None` if the name does not end in this spelling.
fn prefix(name: &str, spelling: &str) -> Option<Option<String>> {
    let before = name.strip_suffix(spelling)?;
    if before.is_empty() {
        return Some(None);
    }
    if let Some(kind) = before.strip_suffix('-') {
        return (!kind.is_empty()).then(|| Some(kind.to_owned()));
    }
    // `_` also separates the words of a control, so only a known type counts here.
    let kind = before.strip_suffix('_')?;
    config_type(kind)?;
    Some(Some(kind.to_owned()))
}

/// Returns the name without the framework's uuid.
fn without_uuid(name: &str) -> &str {
    const UUID: usize = 36;
    let is_uuid = |(index, byte)| match index {
        8 | 13 | 18 | 23 => byte == b'-',
        _ => u8::is_ascii_hexdigit(&byte),
    };
    let split = name.len().checked_sub(UUID).and_then(|at| name.split_at_checked(at));
    let rest =
        split.filter(|(_, uuid)| uuid.bytes().enumerate().all(is_uuid)).and_then(|(rest, _)| rest.strip_suffix('-'));
    rest.unwrap_or(name)
}
