//! Evaluates parts of a template as far as parameters, defaults and conditions determine them.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use super::intrinsic::{FunctionCall, call};
use super::{Resolved, Template};
use crate::yaml::{Node, Value, Yaml11};

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
    /// A pseudo parameter without a known value, such as `AWS::Region`.
    Pseudo(String),
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

/// The pseudo parameters that are parts of ARNs.
const PSEUDO_PARAMETERS: &[&str] = &["AWS::AccountId", "AWS::Partition", "AWS::Region"];

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
    /// The assumed values of unknown pseudo parameters.
    pseudo: &'static [(&'static str, &'static str)],
}

/// Most assignments. With more, each name and condition varies alone.
const ASSIGNMENTS: usize = 32;

impl<'t> Resolver<'t> {
    /// Returns a resolver for a template with these parameter values.
    pub fn new(template: &'t Template, given: &'t BTreeMap<String, String>) -> Self {
        let section =
            |name: &str| template.root.section(name).iter().filter_map(|(key, value)| Some((key.as_str()?, value)));
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

    /// Returns a resolver with these values of pseudo parameters, if they are unknown. Conditions are not affected.
    pub fn with_pseudo(&self, pseudo: &'static [(&'static str, &'static str)]) -> Self {
        let there = self.with_assignment(ConditionAssignment { pseudo, ..self.assignment.clone() });
        let decided = self.conditions.keys().map(|name| (*name, self.condition(name)));
        there.decided.borrow_mut().extend(decided);
        there
    }

    /// Returns the assignments of the undecided conditions that these nodes use. Each is possible as far as the template determines:
    /// mutually exclusive conditions never hold together.
    pub fn condition_assignments(&self, nodes: impl IntoIterator<Item = &'t Node>) -> Vec<ConditionAssignment> {
        let mut named: BTreeSet<&str> = nodes.into_iter().flat_map(conditions_in).collect();
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
                let each = |assignment| values.iter().map(move |value| with(assignment, value));
                assignments = assignments.iter().flat_map(each).collect();
            } else {
                assignments.extend(values.iter().map(|value| with(&ConditionAssignment::default(), value)));
            }
        }
        if !is_whole {
            // All names with their last values, usually none of the compared strings: everything may be off together.
            let subjects =
                choices.iter().filter_map(|(name, values)| Some(((*name).to_owned(), values.last()?.clone())));
            let all = ConditionAssignment { subjects: subjects.collect(), ..ConditionAssignment::default() };
            assignments.insert(0, all);
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
        assignments.extend(open.into_iter().flat_map(|name| [(name, true), (name, false)]).map(|(name, holds)| {
            ConditionAssignment { conditions: [(name.to_owned(), holds)].into(), ..ConditionAssignment::default() }
        }));
        assignments.retain(|assignment| *assignment != ConditionAssignment::default());
        assignments.truncate(2 * ASSIGNMENTS);
        assignments
    }

    /// Returns the values of a compared name: each compared string that its declaration allows, and another one.
    fn choices(&self, subject: &str, texts: BTreeSet<String>) -> Vec<Option<String>> {
        let allowed = self.declared.get(subject).and_then(|declaration| declaration.get("AllowedValues"));
        let allowed: Option<BTreeSet<String>> = allowed
            .and_then(Node::as_sequence)
            .map(|all| all.iter().filter_map(|value| Some(value.yaml11_text()?.into_owned())).collect());
        let has_other = allowed.as_ref().is_none_or(|all| !all.is_subset(&texts));
        let is_allowed = |text: &String| allowed.as_ref().is_none_or(|all| all.contains(text));
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

    /// Returns the type of a resource of the template.
    pub fn resource_type(&self, logical_id: &str) -> Option<&'t str> {
        self.template.root.get("Resources")?.get(logical_id)?.get("Type")?.as_str()
    }

    /// Returns whether a named condition holds, if known.
    pub fn condition(&self, name: &'t str) -> Option<bool> {
        self.named_condition(name, DEPTH)
    }

    fn node(&self, node: &'t Node, depth: usize) -> NodeValue<'t> {
        let Some(depth) = depth.checked_sub(1) else { return NodeValue::Unknown };
        match call(node) {
            // Outside of conditions `Condition` is an ordinary key, as in a policy statement.
            Some(call) if call.function != "Condition" => self.call(&call, depth).unwrap_or(NodeValue::Unknown),
            _ => match &node.value {
                Value::Scalar { text, plain } => scalar(text, *plain),
                Value::Sequence(_) | Value::Mapping(_) => NodeValue::Tree(node),
            },
        }
    }

    /// Returns the result of a call; `None` if it is unknown.
    fn call(&self, call: &FunctionCall<'t>, depth: usize) -> Option<NodeValue<'t>> {
        match (call.function, call.list()) {
            ("Ref", _) => Some(self.reference(call.text()?)),
            ("Sub", _) => self.substitute(call, depth),
            ("GetAtt", _) => self.attribute(call),
            ("If", Some([condition, yes, no])) => {
                let holds = self.named_condition(condition.as_str()?, depth)?;
                Some(self.node(if holds { yes } else { no }, depth))
            }
            ("Join", Some([delimiter, list])) => self.join(delimiter, list, depth),
            ("Split", Some([delimiter, text])) => {
                let delimiter = self.text(delimiter, depth).filter(|delimiter| !delimiter.is_empty())?;
                let text = self.text(text, depth)?;
                Some(NodeValue::Texts(text.split(delimiter.as_str()).map(str::to_owned).collect()))
            }
            ("Select", Some([index, list])) => self.select(index, list, depth),
            ("FindInMap", Some([map, top, second, rest @ ..])) => {
                // With the transform AWS::LanguageExtensions, a mapping with `DefaultValue` may follow.
                let default = || rest.first()?.get("DefaultValue");
                Some(self.node(self.find_in_map([map, top, second], depth)?.or_else(default)?, depth))
            }
            // The result of `Fn::ImportValue`, `Fn::GetAZs`, `Fn::Transform` and unknown functions is not in the template.
            _ => None,
        }
    }

    /// Returns the string of a node, if known.
    fn text(&self, node: &'t Node, depth: usize) -> Option<String> {
        if let NodeValue::Text(text) = self.node(node, depth) { Some(text) } else { None }
    }

    fn reference(&self, name: &str) -> NodeValue<'t> {
        if name == "AWS::NoValue" {
            return NodeValue::Absent;
        }
        self.parameter(name).or_else(|| self.resource(name, None)).unwrap_or(NodeValue::Unknown)
    }

    /// Returns a reference as a part of a string, in which unknown pseudo parameters keep their names.
    fn part_of_text(&self, name: &str) -> NodeValue<'t> {
        match self.reference(name) {
            NodeValue::Unknown if PSEUDO_PARAMETERS.contains(&name) => {
                NodeValue::Pieces(vec![Piece::Pseudo(name.to_owned())])
            }
            found => found,
        }
    }

    /// Returns a reference to a resource or one of its attributes; `None` if it is not declared.
    fn resource(&self, name: &str, attribute: Option<&str>) -> Option<NodeValue<'t>> {
        let reference = || Piece::Resource { logical_id: name.to_owned(), attribute: attribute.map(str::to_owned) };
        self.resources.contains(name).then(|| NodeValue::Pieces(vec![reference()]))
    }

    fn attribute(&self, call: &FunctionCall<'t>) -> Option<NodeValue<'t>> {
        let (name, attribute) = match (call.text(), call.list()) {
            (Some(text), _) => text.split_once('.')?,
            (None, Some([name, attribute])) if attribute.tag.is_none() => (name.as_str()?, attribute.as_str()?),
            _ => return None,
        };
        if attribute.is_empty() { None } else { self.resource(name, Some(attribute)) }
    }

    /// Returns the value of a parameter; `None` if it is not declared.
    fn parameter(&self, name: &str) -> Option<NodeValue<'t>> {
        if name.starts_with("AWS::") {
            // A pseudo parameter, which has a value if the location is known.
            let assumed = || self.assignment.pseudo.iter().find(|(pseudo, _)| *pseudo == name).map(|(_, value)| *value);
            let value = self.given.get(name).map(String::as_str).or_else(assumed);
            return Some(value.map_or(NodeValue::Unknown, |value| literal(value.to_owned())));
        }
        let declaration = self.declared.get(name)?;
        let Some(kind) = declaration.get("Type").and_then(Node::as_str) else { return Some(NodeValue::Unknown) };
        let value = match (self.given.get(name), declaration.get("Default").map(|default| &default.value)) {
            (Some(given), _) => literal(given.clone()),
            (None, Some(Value::Scalar { text, plain })) => scalar(text, *plain),
            // The deployment must give a parameter without a default.
            (None, _) => NodeValue::Unknown,
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

    fn substitute(&self, call: &FunctionCall<'t>, depth: usize) -> Option<NodeValue<'t>> {
        let (pattern, variables) = match (call.text(), call.list()) {
            (Some(pattern), _) => (pattern, [].as_slice()),
            (None, Some([pattern, variables])) => (pattern.as_str()?, variables.entries().unwrap_or_default()),
            _ => return None,
        };
        // Evaluated once, however often the pattern uses them: nested patterns would double the work at every level.
        let variables: BTreeMap<&str, NodeValue<'t>> =
            variables.iter().filter_map(|(key, value)| Some((key.as_str()?, self.node(value, depth)))).collect();
        let mut out = Pieces::default();
        let mut rest = pattern;
        while let Some((before, after)) = rest.split_once("${") {
            out.text(before);
            let (name, after) = after.split_once('}')?;
            match name.strip_prefix('!') {
                Some(literal) => ["${", literal, "}"].into_iter().for_each(|text| out.text(text)),
                None => out.found(match (variables.get(name.trim()), name.trim().split_once('.')) {
                    (Some(found), _) => found.clone(),
                    (None, Some((resource, attribute))) => {
                        self.resource(resource, Some(attribute)).unwrap_or(NodeValue::Unknown)
                    }
                    (None, None) => self.part_of_text(name.trim()),
                }),
            }
            if out.length > LONGEST {
                return None;
            }
            rest = after;
        }
        out.text(rest);
        out.into_found()
    }

    fn join(&self, delimiter: &'t Node, list: &'t Node, depth: usize) -> Option<NodeValue<'t>> {
        let delimiter = match self.node(delimiter, depth) {
            NodeValue::Absent => String::new(),
            NodeValue::Text(text) => text,
            _ => return None,
        };
        let mut out = Pieces::default();
        let items = self.list(list, depth)?.into_iter().filter(|item| *item != NodeValue::Absent);
        for (index, item) in items.enumerate() {
            if index > 0 {
                out.text(&delimiter);
            }
            out.found(item);
            if out.length > LONGEST {
                return None;
            }
        }
        out.into_found()
    }

    fn list(&self, node: &'t Node, depth: usize) -> Option<Vec<NodeValue<'t>>> {
        match self.node(node, depth) {
            NodeValue::Texts(texts) => Some(texts.into_iter().map(literal).collect()),
            NodeValue::Tree(tree) => {
                let item = |item| match call(item).filter(|call| call.function == "Ref").and_then(|call| call.text()) {
                    Some(name) => self.part_of_text(name),
                    None => self.node(item, depth),
                };
                Some(tree.as_sequence()?.iter().map(item).collect())
            }
            NodeValue::Text(_) | NodeValue::Pieces(_) | NodeValue::Absent | NodeValue::Unknown => None,
        }
    }

    fn select(&self, index: &'t Node, list: &'t Node, depth: usize) -> Option<NodeValue<'t>> {
        let index = self.text(index, depth)?.parse::<usize>().ok()?;
        match self.node(list, depth) {
            NodeValue::Texts(texts) => texts.into_iter().nth(index).map(literal),
            NodeValue::Tree(tree) => Some(self.node(tree.as_sequence()?.get(index)?, depth)),
            NodeValue::Text(_) | NodeValue::Pieces(_) | NodeValue::Absent | NodeValue::Unknown => None,
        }
    }

    /// Returns `Some(None)` if the mapping certainly lacks the keys, `None` if the keys are unknown.
    fn find_in_map(&self, [map, top, second]: [&'t Node; 3], depth: usize) -> Option<Option<&'t Node>> {
        let (map, top, second) = (self.text(map, depth)?, self.text(top, depth)?, self.text(second, depth)?);
        let map = self.template.root.get("Mappings")?.get(&map)?;
        // A macro may add keys.
        let is_whole = map.entries()?.iter().all(|(key, _)| key.as_str() != Some("Fn::Transform"));
        is_whole.then(|| map.get(&top)?.get(&second))
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

/// Returns the conditions that a node uses: at a resource, and in `Fn::If`.
fn conditions_in(node: &Node) -> impl Iterator<Item = &str> {
    node.descendants().flat_map(|node| {
        let call = call(node).filter(|call| call.function == "If");
        let of_call = call.and_then(|call| call.list()?.first()?.as_str());
        of_call.into_iter().chain(node.get("Condition").and_then(Node::as_str))
    })
}

/// Three-valued "and" (Kleene).
fn all(parts: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    let mut all = Some(true);
    for part in parts {
        if part == Some(false) {
            return part;
        }
        all = all.and(part);
    }
    all
}

/// Evaluates a scalar as CloudFormation does, which follows YAML 1.1. `y` and `n` are unknown: the specification has them as booleans,
/// most parsers do not. `AWS::NoValue` is unknown because `!Ref AWS::NoValue` is meant.
fn scalar(text: &str, plain: bool) -> NodeValue<'static> {
    match (text, plain) {
        ("AWS::NoValue", _) | ("y" | "Y" | "n" | "N", true) => return NodeValue::Unknown,
        (_, false) => return literal(text.to_owned()),
        (_, true) => {}
    }
    match Yaml11::of_plain(text) {
        Yaml11::Null => NodeValue::Absent,
        Yaml11::Written => literal(text.to_owned()),
        Yaml11::Other(other) => literal(other),
        Yaml11::Number(_) => NodeValue::Unknown,
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

    fn into_found(mut self) -> Option<NodeValue<'static>> {
        if self.length > LONGEST {
            return None;
        }
        match self.pieces.as_mut_slice() {
            [] => Some(NodeValue::Text(String::new())),
            [Piece::Text(text)] => Some(literal(std::mem::take(text))),
            [Piece::Unknown | Piece::Pseudo(_)] => None,
            _ => Some(NodeValue::Pieces(self.pieces)),
        }
    }
}
