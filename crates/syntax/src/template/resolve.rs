//! Evaluates parts of a template as far as parameters, defaults and conditions determine them.
//!
//! Long because every intrinsic function needs the same resolver state, and their results have one type.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use super::intrinsic::{Call, call};
use super::{Resolved, Template};
use crate::yaml::{Node, ScalarKind, Value};

/// A piece of a string.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Known.
    Text(String),
    /// `Ref` or `Fn::GetAtt` of a resource of the same template.
    Resource {
        /// The resource.
        logical_id: String,
        /// The attribute; `None` for the result of `Ref`.
        attribute: Option<String>,
    },
    /// Known only at deployment.
    Unknown,
}

/// The value of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodeValue<'t> {
    /// A string; CloudFormation passes numbers and booleans as strings.
    Text(String),
    /// A list, or a mapping that is not a function call, with unresolved content.
    Tree(&'t Node),
    /// A computed list without nodes: the value of a list parameter, or of `Fn::Split`.
    Texts(Vec<String>),
    /// A partly known string, or a reference to a resource.
    Pieces(Vec<Piece>),
    /// `AWS::NoValue` or null.
    Absent,
    /// Known only at deployment.
    Unknown,
}

impl NodeValue<'_> {
    /// Returns the value as a string; lists and mappings are unknown.
    pub fn into_resolved(self) -> Resolved {
        match self {
            Self::Text(text) => Resolved::Text(text),
            Self::Absent => Resolved::Absent,
            Self::Tree(_) | Self::Texts(_) | Self::Pieces(_) | Self::Unknown => Resolved::Unknown,
        }
    }
}

/// Deepest chain of calls and of conditions that refer to each other. A deeper one is unknown.
const DEPTH: usize = 64;

/// Longest computed string in bytes: a value may be repeated many times.
const LONGEST: usize = 65_536;

/// Resolves parts of one template for one set of parameter values.
pub struct Resolver<'t> {
    template: &'t Template,
    given: &'t BTreeMap<String, String>,
    declared: BTreeMap<&'t str, &'t Node>,
    conditions: BTreeMap<&'t str, &'t Node>,
    resources: BTreeSet<&'t str>,
    /// The conditions decided so far, so that each is evaluated once. One in evaluation is undecided here, which ends cycles.
    decided: RefCell<BTreeMap<&'t str, Option<bool>>>,
    assignment: ConditionAssignment,
}

/// A condition assignment: assumptions beyond the template and the values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConditionAssignment {
    /// The assumed string of an unknown name that conditions compare; `None` for none of the compared strings. It decides comparisons
    /// only: the value itself stays unknown.
    subjects: BTreeMap<String, Option<String>>,
    /// The assumed results of conditions.
    conditions: BTreeMap<String, bool>,
    /// The Region.
    region: Option<&'static str>,
}

/// Most assignments. With more, each name and condition varies alone.
const ASSIGNMENTS: usize = 32;

impl<'t> Resolver<'t> {
    /// Returns a resolver for a template with these parameter values.
    #[must_use]
    pub fn new(template: &'t Template, given: &'t BTreeMap<String, String>) -> Self {
        let section = |name: &str| {
            let entries = template.root.get(name).and_then(Node::entries).unwrap_or_default();
            entries.iter().filter_map(|(key, value)| Some((key.as_str()?, value)))
        };
        Self {
            template,
            given,
            declared: section("Parameters").collect(),
            conditions: section("Conditions").collect(),
            resources: section("Resources").map(|(name, _)| name).collect(),
            decided: RefCell::default(),
            assignment: ConditionAssignment::default(),
        }
    }

    /// Returns a resolver with a condition assignment.
    pub fn with_assignment(&self, assignment: ConditionAssignment) -> Self {
        Self {
            template: self.template,
            given: self.given,
            declared: self.declared.clone(),
            conditions: self.conditions.clone(),
            resources: self.resources.clone(),
            decided: RefCell::default(),
            assignment,
        }
    }

    /// Returns a resolver with a Region, if it is unknown. Conditions are not affected.
    pub fn in_region(&self, region: &'static str) -> Self {
        let there = self.with_assignment(ConditionAssignment { region: Some(region), ..self.assignment.clone() });
        let decided = self.conditions.keys().map(|name| (*name, self.condition(name)));
        there.decided.borrow_mut().extend(decided);
        there
    }

    /// Returns the assignments of the undecided conditions that these nodes use. Each is possible as far as the template determines:
    /// mutually exclusive conditions never hold together.
    pub fn condition_assignments(&self, nodes: impl IntoIterator<Item = &'t Node>) -> Vec<ConditionAssignment> {
        let mut named = BTreeSet::new();
        nodes.into_iter().for_each(|node| conditions_in(node, DEPTH, &mut named));
        named.retain(|name| self.conditions.contains_key(name) && self.condition(name).is_none());
        if named.is_empty() {
            return Vec::new();
        }
        let mut subjects: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
        let mut seen = BTreeSet::new();
        for name in &named {
            self.compared(name, &mut seen, &mut subjects);
        }
        let choices: Vec<(&str, Vec<Option<String>>)> =
            subjects.into_iter().map(|(subject, texts)| (subject, self.choices(subject, texts))).collect();
        let together = choices.iter().try_fold(1_usize, |number, (_, values)| number.checked_mul(values.len()));
        let is_whole = together.is_some_and(|number| number <= ASSIGNMENTS);
        let mut assignments = vec![ConditionAssignment::default()];
        for (subject, values) in &choices {
            let with = |assignment: &ConditionAssignment, value: &Option<String>| {
                let mut assignment = assignment.clone();
                assignment.subjects.insert((*subject).to_owned(), value.clone());
                assignment
            };
            if is_whole {
                assignments = assignments
                    .iter()
                    .flat_map(|assignment| values.iter().map(move |value| with(assignment, value)))
                    .collect();
            } else {
                assignments.extend(values.iter().map(|value| with(&ConditionAssignment::default(), value)));
            }
        }
        // A condition that no comparison with a string decides is assumed both true and false, one at a time.
        let undecided = |assignment: &ConditionAssignment| {
            let resolver = self.with_assignment(assignment.clone());
            named.iter().copied().filter(|name| resolver.condition(name).is_none()).collect::<BTreeSet<_>>()
        };
        let open: BTreeSet<&str> = match is_whole {
            true => assignments.iter().flat_map(undecided).collect(),
            false => named.clone(),
        };
        for name in open {
            for holds in [true, false] {
                assignments.push(ConditionAssignment {
                    conditions: [(name.to_owned(), holds)].into(),
                    ..ConditionAssignment::default()
                });
            }
        }
        assignments.retain(|assignment| *assignment != ConditionAssignment::default());
        assignments.truncate(2 * ASSIGNMENTS);
        assignments
    }

    /// Returns the values of a compared name: each compared string that its declaration allows, and another one.
    fn choices(&self, subject: &str, texts: BTreeSet<String>) -> Vec<Option<String>> {
        let allowed = self.declared.get(subject).and_then(|declaration| declaration.get("AllowedValues"));
        let allowed: Option<Vec<&str>> =
            allowed.and_then(Node::as_sequence).map(|all| all.iter().filter_map(Node::as_str).collect());
        let has_other = allowed.as_ref().is_none_or(|all| all.iter().any(|value| !texts.contains(*value)));
        let is_allowed = |text: &String| allowed.as_ref().is_none_or(|all| all.contains(&text.as_str()));
        let others = has_other.then_some(None);
        texts.into_iter().filter(is_allowed).map(Some).chain(others).collect()
    }

    /// Collects the operands of a condition: names that are compared with strings, and the strings.
    fn compared(
        &self,
        name: &'t str,
        seen: &mut BTreeSet<&'t str>,
        subjects: &mut BTreeMap<&'t str, BTreeSet<String>>,
    ) {
        let Some(definition) = self.conditions.get(name).copied().filter(|_| seen.insert(name)) else { return };
        // Iterative: conditions may refer to each other in a long chain.
        let mut left = vec![definition];
        while let Some(node) = left.pop() {
            let Some(call) = call(node) else { continue };
            match (call.function, call.list()) {
                ("Condition", _) => {
                    let next = call.text().and_then(|name| Some((name, *self.conditions.get(name)?)));
                    left.extend(next.filter(|(name, _)| seen.insert(name)).map(|(_, definition)| definition));
                }
                ("Equals", Some([a, b])) => {
                    for (one, other) in [(a, b), (b, a)] {
                        if let (Some(subject), NodeValue::Text(text)) = (self.subject(one), self.resolve(other)) {
                            subjects.entry(subject).or_default().insert(text);
                        }
                    }
                }
                (_, Some(parts)) => left.extend(parts),
                (_, None) => {}
            }
        }
    }

    /// Returns the name that a node refers to if its value is unknown.
    fn subject(&self, node: &'t Node) -> Option<&'t str> {
        let name = call(node).filter(|call| call.function == "Ref")?.text()?;
        (self.reference(name) == NodeValue::Unknown).then_some(name)
    }

    /// Whether an unknown value equals this string in the current assignment.
    fn is_taken_for(&self, node: &'t Node, text: &str) -> Option<bool> {
        let taken = self.assignment.subjects.get(self.subject(node)?)?;
        Some(taken.as_deref() == Some(text))
    }

    /// Evaluates a node.
    #[must_use]
    pub fn resolve(&self, node: &'t Node) -> NodeValue<'t> {
        self.node(node, DEPTH)
    }

    /// Returns the present items of a list with their nodes. `None` if this is not a list or is unknown.
    pub fn items(&self, node: &'t Node) -> Option<Vec<(&'t Node, NodeValue<'t>)>> {
        match self.resolve(node) {
            NodeValue::Absent => Some(Vec::new()),
            NodeValue::Texts(texts) => Some(texts.into_iter().map(|text| (node, literal(text))).collect()),
            NodeValue::Tree(tree) => {
                let items = tree.as_sequence()?.iter().map(|item| (item, self.resolve(item)));
                Some(items.filter(|(_, found)| *found != NodeValue::Absent).collect())
            }
            NodeValue::Text(_) | NodeValue::Pieces(_) | NodeValue::Unknown => None,
        }
    }

    /// Returns whether a named condition holds, if known.
    pub fn condition(&self, name: &'t str) -> Option<bool> {
        self.named_condition(name, DEPTH)
    }

    fn node(&self, node: &'t Node, depth: usize) -> NodeValue<'t> {
        let Some(depth) = depth.checked_sub(1) else { return NodeValue::Unknown };
        match call(node) {
            // Outside of conditions `Condition` is an ordinary key, as in a policy statement.
            Some(call) if call.function != "Condition" => self.call(&call, depth),
            _ => match &node.value {
                Value::Scalar { text, plain } => scalar(text, *plain),
                Value::Sequence(_) | Value::Mapping(_) => NodeValue::Tree(node),
            },
        }
    }

    fn call(&self, call: &Call<'t>, depth: usize) -> NodeValue<'t> {
        match (call.function, call.list()) {
            ("Ref", _) => call.text().map_or(NodeValue::Unknown, |name| self.reference(name)),
            ("Sub", _) => self.substitute(call, depth),
            ("GetAtt", _) => self.attribute(call),
            ("If", Some([condition, yes, no])) => {
                match condition.as_str().and_then(|name| self.named_condition(name, depth)) {
                    Some(true) => self.node(yes, depth),
                    Some(false) => self.node(no, depth),
                    None => NodeValue::Unknown,
                }
            }
            ("Join", Some([delimiter, list])) => self.join(delimiter, list, depth),
            ("Split", Some([delimiter, text])) => match (self.node(delimiter, depth), self.node(text, depth)) {
                (NodeValue::Text(delimiter), NodeValue::Text(text)) if !delimiter.is_empty() => {
                    NodeValue::Texts(text.split(delimiter.as_str()).map(str::to_owned).collect())
                }
                _ => NodeValue::Unknown,
            },
            ("Select", Some([index, list])) => self.select(index, list, depth),
            ("FindInMap", Some([map, top, second, rest @ ..])) => {
                let found = self.find_in_map([map, top, second], depth);
                // With the transform AWS::LanguageExtensions, a mapping with `DefaultValue` may follow.
                let default = || rest.first().and_then(|options| options.get("DefaultValue"));
                match found {
                    Ok(Some(node)) => self.node(node, depth),
                    Ok(None) => default().map_or(NodeValue::Unknown, |node| self.node(node, depth)),
                    Err(_) => NodeValue::Unknown,
                }
            }
            // The result of `Fn::ImportValue`, `Fn::GetAZs`, `Fn::Transform` and unknown functions is not in the template.
            _ => NodeValue::Unknown,
        }
    }

    fn reference(&self, name: &str) -> NodeValue<'t> {
        if name == "AWS::NoValue" {
            return NodeValue::Absent;
        }
        match self.parameter(name) {
            Some(found) => found,
            None => self.resource(name, None),
        }
    }

    /// Returns a reference to a resource or one of its attributes.
    fn resource(&self, name: &str, attribute: Option<&str>) -> NodeValue<'t> {
        if !self.resources.contains(name) {
            return NodeValue::Unknown;
        }
        NodeValue::Pieces(vec![Piece::Resource {
            logical_id: name.to_owned(),
            attribute: attribute.map(str::to_owned),
        }])
    }

    fn attribute(&self, call: &Call<'t>) -> NodeValue<'t> {
        let (name, attribute) = match (call.text(), call.list()) {
            (Some(text), _) => text.split_once('.').unwrap_or((text, "")),
            (None, Some([name, attribute])) if attribute.tag.is_none() => {
                (name.as_str().unwrap_or_default(), attribute.as_str().unwrap_or_default())
            }
            _ => return NodeValue::Unknown,
        };
        if attribute.is_empty() { NodeValue::Unknown } else { self.resource(name, Some(attribute)) }
    }

    /// Returns the value of a parameter; `None` if it is not declared.
    fn parameter(&self, name: &str) -> Option<NodeValue<'t>> {
        if name.starts_with("AWS::") {
            // A pseudo parameter, which has a value if the location is known.
            let region = self.assignment.region.filter(|_| name == "AWS::Region");
            let value = self.given.get(name).map(String::as_str).or(region);
            return Some(value.map_or(NodeValue::Unknown, |value| literal(value.to_owned())));
        }
        let declaration = self.declared.get(name)?;
        let Some(kind) = declaration.get("Type").and_then(Node::as_str) else { return Some(NodeValue::Unknown) };
        let value = match self.given.get(name) {
            Some(given) => literal(given.clone()),
            None => match declaration.get("Default").map(|default| &default.value) {
                Some(Value::Scalar { text, plain }) => scalar(text, *plain),
                // The deployment must give a parameter without a default.
                Some(_) | None => NodeValue::Unknown,
            },
        };
        let is_list = kind == "CommaDelimitedList" || kind.starts_with("List<");
        Some(match value {
            // The value of an `AWS::SSM::Parameter::Value<...>` is the name of the actual value.
            _ if kind.starts_with("AWS::SSM::Parameter::Value<") => NodeValue::Unknown,
            NodeValue::Text(text) if is_list => {
                NodeValue::Texts(text.split(',').map(|item| item.trim().to_owned()).collect())
            }
            // `Default:` without a value.
            NodeValue::Absent => NodeValue::Text(String::new()),
            found => found,
        })
    }

    fn substitute(&self, call: &Call<'t>, depth: usize) -> NodeValue<'t> {
        let nothing: &[(Node, Node)] = &[];
        let (pattern, variables) = match (call.text(), call.list()) {
            (Some(pattern), _) => (Some(pattern), nothing),
            (None, Some([pattern, variables])) => (pattern.as_str(), variables.entries().unwrap_or_default()),
            _ => (None, nothing),
        };
        let Some(pattern) = pattern else { return NodeValue::Unknown };
        // Evaluated once, however often the pattern uses them: nested patterns would double the work at every level.
        let variables: BTreeMap<&str, NodeValue<'t>> =
            variables.iter().filter_map(|(key, value)| Some((key.as_str()?, self.node(value, depth)))).collect();
        let mut out = Pieces::default();
        let mut rest = pattern;
        while let Some((before, after)) = rest.split_once("${") {
            out.text(before);
            let Some((name, after)) = after.split_once('}') else { return NodeValue::Unknown };
            match name.strip_prefix('!') {
                Some(literal) => ["${", literal, "}"].into_iter().for_each(|text| out.text(text)),
                None => out.found(match variables.get(name.trim()) {
                    Some(found) => found.clone(),
                    None => self.named(name.trim()),
                }),
            }
            if out.is_too_long() {
                return NodeValue::Unknown;
            }
            rest = after;
        }
        out.text(rest);
        out.into_found()
    }

    /// Returns the value of `${name}`.
    fn named(&self, name: &str) -> NodeValue<'t> {
        match name.split_once('.') {
            Some((resource, attribute)) => self.resource(resource, Some(attribute)),
            None => self.reference(name),
        }
    }

    fn join(&self, delimiter: &'t Node, list: &'t Node, depth: usize) -> NodeValue<'t> {
        let (NodeValue::Text(delimiter), Some(items)) = (self.text_or_empty(delimiter, depth), self.list(list, depth))
        else {
            return NodeValue::Unknown;
        };
        let mut out = Pieces::default();
        for (index, item) in items.into_iter().filter(|item| *item != NodeValue::Absent).enumerate() {
            if index > 0 {
                out.text(&delimiter);
            }
            out.found(item);
            if out.is_too_long() {
                return NodeValue::Unknown;
            }
        }
        out.into_found()
    }

    /// Returns a delimiter, which may be empty.
    fn text_or_empty(&self, node: &'t Node, depth: usize) -> NodeValue<'t> {
        match self.node(node, depth) {
            NodeValue::Absent => NodeValue::Text(String::new()),
            found => found,
        }
    }

    fn list(&self, node: &'t Node, depth: usize) -> Option<Vec<NodeValue<'t>>> {
        match self.node(node, depth) {
            NodeValue::Texts(texts) => Some(texts.into_iter().map(literal).collect()),
            NodeValue::Tree(tree) => Some(tree.as_sequence()?.iter().map(|item| self.node(item, depth)).collect()),
            NodeValue::Text(_) | NodeValue::Pieces(_) | NodeValue::Absent | NodeValue::Unknown => None,
        }
    }

    fn select(&self, index: &'t Node, list: &'t Node, depth: usize) -> NodeValue<'t> {
        let NodeValue::Text(index) = self.node(index, depth) else { return NodeValue::Unknown };
        let Ok(index) = index.parse::<usize>() else { return NodeValue::Unknown };
        match self.node(list, depth) {
            NodeValue::Texts(texts) => texts.into_iter().nth(index).map_or(NodeValue::Unknown, literal),
            NodeValue::Tree(tree) => {
                let item = tree.as_sequence().and_then(|items| items.get(index));
                item.map_or(NodeValue::Unknown, |item| self.node(item, depth))
            }
            NodeValue::Text(_) | NodeValue::Pieces(_) | NodeValue::Absent | NodeValue::Unknown => NodeValue::Unknown,
        }
    }

    /// Returns `Ok(None)` if the mapping certainly lacks the keys, `Err` if the keys are unknown.
    fn find_in_map(&self, [map, top, second]: [&'t Node; 3], depth: usize) -> Result<Option<&'t Node>, ()> {
        let key = |node: &'t Node| match self.node(node, depth) {
            NodeValue::Text(key) => Ok(key),
            _ => Err(()),
        };
        let (map, top, second) = (key(map)?, key(top)?, key(second)?);
        let mappings = self.template.root.get("Mappings").ok_or(())?;
        let map = mappings.get(&map).ok_or(())?;
        // A macro may add keys.
        if map.entries().is_none_or(|entries| entries.iter().any(|(key, _)| key.as_str() == Some("Fn::Transform"))) {
            return Err(());
        }
        Ok(map.get(&top).and_then(|entries| entries.get(&second)))
    }

    fn named_condition(&self, name: &'t str, depth: usize) -> Option<bool> {
        if let Some(decided) = self.decided.borrow().get(name) {
            return *decided;
        }
        let definition = self.conditions.get(name)?;
        if let Some(holds) = self.assignment.conditions.get(name) {
            return Some(*holds);
        }
        self.decided.borrow_mut().insert(name, None);
        let decided = self.decide(definition, depth);
        self.decided.borrow_mut().insert(name, decided);
        decided
    }

    fn decide(&self, node: &'t Node, depth: usize) -> Option<bool> {
        let depth = depth.checked_sub(1)?;
        let call = call(node)?;
        let parts = || call.list().unwrap_or_default().iter().map(|part| self.decide(part, depth));
        match (call.function, call.list()) {
            ("Condition", _) => self.named_condition(call.text()?, depth),
            ("Equals", Some([a, b])) => match (self.node(a, depth), self.node(b, depth)) {
                (NodeValue::Text(a), NodeValue::Text(b)) => Some(a == b),
                (NodeValue::Text(text), _) => self.is_taken_for(b, &text),
                (_, NodeValue::Text(text)) => self.is_taken_for(a, &text),
                _ => None,
            },
            ("Not", Some([part])) => self.decide(part, depth).map(|holds| !holds),
            // One known part can decide the result.
            ("And", Some([_, ..])) => all(parts()),
            ("Or", Some([_, ..])) => all(parts().map(|part| part.map(|holds| !holds))).map(|none| !none),
            _ => None,
        }
    }
}

/// Collects the conditions that a node uses: at a resource, and in `Fn::If`.
fn conditions_in<'t>(node: &'t Node, depth: usize, names: &mut BTreeSet<&'t str>) {
    let Some(depth) = depth.checked_sub(1) else { return };
    if let Some(call) = call(node)
        && call.function == "If"
        && let Some([condition, ..]) = call.list()
    {
        names.extend(condition.as_str());
    }
    match &node.value {
        Value::Scalar { .. } => {}
        Value::Sequence(items) => items.iter().for_each(|item| conditions_in(item, depth, names)),
        Value::Mapping(entries) => {
            for (key, value) in entries {
                if key.as_str() == Some("Condition") {
                    names.extend(value.as_str());
                }
                conditions_in(value, depth, names);
            }
        }
    }
}

/// Three-valued "and" (Kleene).
fn all(parts: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    let mut all = Some(true);
    for part in parts {
        match part {
            Some(true) => {}
            Some(false) => return Some(false),
            None => all = None,
        }
    }
    all
}

/// Evaluates a scalar as CloudFormation does, which follows YAML 1.1: an unquoted `yes` or `on` is true, and `010` is 8. Numbers that
/// differ between the versions are unknown, because AWS does not document their output. `y` and `n` are unknown too: YAML 1.1 reads
/// them as booleans, most parsers do not.
fn scalar(text: &str, plain: bool) -> NodeValue<'static> {
    if !plain {
        return literal(text.to_owned());
    }
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_decimal = digits == "0" || (!digits.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit()));
    match ScalarKind::of_plain(text) {
        ScalarKind::Null => NodeValue::Absent,
        ScalarKind::Boolean => NodeValue::Text(text.to_ascii_lowercase()),
        ScalarKind::Number if is_decimal => NodeValue::Text(text.to_owned()),
        ScalarKind::Number => NodeValue::Unknown,
        ScalarKind::Text => match text {
            "yes" | "Yes" | "YES" | "on" | "On" | "ON" => NodeValue::Text("true".to_owned()),
            "no" | "No" | "NO" | "off" | "Off" | "OFF" => NodeValue::Text("false".to_owned()),
            "y" | "Y" | "n" | "N" => NodeValue::Unknown,
            // Digits with underscores or colons are numbers in YAML 1.1.
            _ if text.starts_with(|c: char| c.is_ascii_digit())
                && text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'_' | b':')) =>
            {
                NodeValue::Unknown
            }
            _ => literal(text.to_owned()),
        },
    }
}

/// A string, unless it is a dynamic reference.
fn literal(text: String) -> NodeValue<'static> {
    if text.contains("{{resolve:") { NodeValue::Unknown } else { NodeValue::Text(text) }
}

/// A string under construction.
#[derive(Default)]
struct Pieces {
    pieces: Vec<Piece>,
    length: usize,
}

impl Pieces {
    fn text(&mut self, text: &str) {
        self.length += text.len();
        match self.pieces.last_mut() {
            Some(Piece::Text(last)) => last.push_str(text),
            _ if text.is_empty() => {}
            _ => self.pieces.push(Piece::Text(text.to_owned())),
        }
    }

    fn found(&mut self, found: NodeValue<'_>) {
        match found {
            NodeValue::Text(text) => self.text(&text),
            NodeValue::Pieces(pieces) => {
                for piece in pieces {
                    match piece {
                        Piece::Text(text) => self.text(&text),
                        other => self.push(other),
                    }
                }
            }
            NodeValue::Tree(_) | NodeValue::Texts(_) | NodeValue::Absent | NodeValue::Unknown => {
                self.push(Piece::Unknown)
            }
        }
    }

    fn push(&mut self, piece: Piece) {
        self.length += 32;
        self.pieces.push(piece);
    }

    fn is_too_long(&self) -> bool {
        self.length > LONGEST
    }

    fn into_found(self) -> NodeValue<'static> {
        if self.is_too_long() {
            return NodeValue::Unknown;
        }
        let mut pieces = self.pieces.into_iter();
        match (pieces.next(), pieces.next()) {
            (None, _) => NodeValue::Text(String::new()),
            (Some(Piece::Text(text)), None) => literal(text),
            (Some(Piece::Unknown), None) => NodeValue::Unknown,
            (Some(one), None) => NodeValue::Pieces(vec![one]),
            (Some(one), Some(other)) => NodeValue::Pieces([one, other].into_iter().chain(pieces).collect()),
        }
    }
}
