//! The names of the Config rules that Audit Manager makes.

use super::{CONTROLS, Control, config_type};

/// The name of a Config rule that Audit Manager made, taken apart.
///
/// AWS documents no grammar. Seen are `<control>-<uuid>` and `<TYPE>-<control>-<uuid>`, the control with and without
/// its `BACKUP_`; the names of the Config managed rules behind (`AURORA_LAST_BACKUP_RECOVERY_POINT_CREATED`) are
/// understood too. The uuid is the framework's and differs in every account and Region, so a whole name must never be compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleName {
    /// The control, if it is one we know.
    pub control: Option<&'static Control>,
    /// The resource type in front of the control's name, in capitals, such as `AURORA`.
    pub kind: Option<String>,
    /// The name as it came.
    pub raw: String,
}

impl RuleName {
    /// Takes a rule name apart. A name that cannot be understood is kept whole, without control and kind.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let name = without_uuid(text.trim()).to_ascii_uppercase();
        let found = spellings()
            .filter_map(|(spelling, control)| Some((spelling.len(), control, prefix(&name, spelling)?)))
            // One spelling may be the end of another, and the longest leaves the least unexplained.
            .max_by_key(|(length, _, _)| *length);
        match found {
            Some((_, control, kind)) => Self { control: Some(control), kind, raw: text.to_owned() },
            None => Self { control: None, kind: None, raw: text.to_owned() },
        }
    }

    /// The Config type of the resources the rule is about, as far as the name tells.
    #[must_use]
    pub fn resource_type(&self) -> Option<&'static str> {
        match (&self.kind, self.control?.resource_types) {
            (Some(kind), _) => config_type(kind),
            (None, [only]) => Some(only),
            (None, _) => None,
        }
    }
}

/// Every way in which a control may be written in a rule's name.
fn spellings() -> impl Iterator<Item = (&'static str, &'static Control)> {
    CONTROLS.iter().flat_map(|control| {
        [Some(control.name), control.name.strip_prefix("BACKUP_"), control.managed_rule]
            .into_iter()
            .flatten()
            .map(move |spelling| (spelling, control))
    })
}

/// What stands before the control: nothing, or a resource type. `None` when the name does not end in this spelling.
fn prefix(name: &str, spelling: &str) -> Option<Option<String>> {
    let before = name.strip_suffix(spelling)?;
    if before.is_empty() {
        return Some(None);
    }
    if let Some(kind) = before.strip_suffix('-') {
        return (!kind.is_empty()).then(|| Some(kind.to_owned()));
    }
    // `_` also stands between the words of a control, so here only a type that we know counts.
    let kind = before.strip_suffix('_')?;
    config_type(kind)?;
    Some(Some(kind.to_owned()))
}

/// The name without `-` and the framework's uuid at its end.
fn without_uuid(name: &str) -> &str {
    const UUID: usize = 36;
    let split = || {
        let (rest, uuid) = name.split_at_checked(name.len().checked_sub(UUID)?)?;
        is_uuid(uuid).then_some(rest)?.strip_suffix('-')
    };
    split().unwrap_or(name)
}

fn is_uuid(text: &str) -> bool {
    text.bytes().enumerate().all(|(index, byte)| match index {
        8 | 13 | 18 | 23 => byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    })
}
