//! What a part of a template will be, as far as parameters, defaults and conditions tell.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use super::intrinsic::{Call, call};
use super::{Piece, Resolved, Template};
use crate::yaml::{Node, ScalarKind, Value};

/// What a node stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Found<'t> {
    /// A text, as CloudFormation hands it on (numbers and booleans are texts there).
    Text(String),
    /// A list, or a mapping that is no function call. What is inside has not been resolved.
    Tree(&'t Node),
    /// A list of texts that was worked out and stands nowhere: the value of a list parameter, or `Fn::Split`.
    Texts(Vec<String>),
    /// A text of which parts are known, or the name of a resource in place of what it will be.
    Pieces(Vec<Piece>),
    /// Nothing: `AWS::NoValue` or null.
    Absent,
    /// Only a deployment can tell.
    Unknown,
}

impl Found<'_> {
    /// As a text; a list or mapping is no text that anybody could know.
    pub(crate) fn into_resolved(self) -> Resolved {
        match self {
            Self::Text(text) => Resolved::Text(text),
            Self::Absent => Resolved::Absent,
            Self::Tree(_) | Self::Texts(_) | Self::Pieces(_) | Self::Unknown => Resolved::Unknown,
        }
    }
}

/// Deepest chain of calls and of conditions that name each other. A deeper one is unknown.
const DEPTH: usize = 64;

/// Longest text that is worked out, in bytes. A value may be named many times.
const LONGEST: usize = 65_536;

/// Resolves parts of one template for one set of parameter values.
pub(crate) struct Resolver<'t> {
    template: &'t Template,
    given: &'t BTreeMap<String, String>,
    declared: BTreeMap<&'t str, &'t Node>,
    conditions: BTreeMap<&'t str, &'t Node>,
    resources: BTreeSet<&'t str>,
    /// Conditions decided so far, so that conditions made of conditions are each decided once. One that is being decided
    /// stands here as undecided, which ends circles.
    decided: RefCell<BTreeMap<&'t str, Option<bool>>>,
    world: World,
}

/// What is taken to be so where the template and the values alone do not tell: one of the ways in which a deployment may go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct World {
    /// What the subject of comparisons, by the name that `Ref` takes, is equal to; `None` for none of what it is compared with. It
    /// decides comparisons only: the value itself stays unknown.
    subjects: BTreeMap<String, Option<String>>,
    /// Conditions that hold or do not.
    conditions: BTreeMap<String, bool>,
    /// The Region.
    region: Option<&'static str>,
}

/// Most worlds that are looked at. With more, each subject is looked at on its own.
const WORLDS: usize = 32;

impl<'t> Resolver<'t> {
    pub(crate) fn new(template: &'t Template, given: &'t BTreeMap<String, String>) -> Self {
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
            world: World::default(),
        }
    }

    /// The same, where more is taken to be so.
    pub(crate) fn within(&self, world: World) -> Self {
        Self {
            template: self.template,
            given: self.given,
            declared: self.declared.clone(),
            conditions: self.conditions.clone(),
            resources: self.resources.clone(),
            decided: RefCell::default(),
            world,
        }
    }

    /// The same in a Region, if it is not known in which. It decides no condition: those are as they were.
    pub(crate) fn in_region(&self, region: &'static str) -> Self {
        let there = self.within(World { region: Some(region), ..self.world.clone() });
        let decided = self.conditions.keys().map(|name| (*name, self.condition(name)));
        there.decided.borrow_mut().extend(decided);
        there
    }

    /// The ways in which the conditions that these nodes name may turn out where they are not known. Every one can happen as far as
    /// the template tells: conditions that shut each other out never hold in the same.
    pub(crate) fn worlds(&self, nodes: impl IntoIterator<Item = &'t Node>) -> Vec<World> {
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
        let is_whole = together.is_some_and(|number| number <= WORLDS);
        let mut worlds = vec![World::default()];
        for (subject, values) in &choices {
            let with = |world: &World, value: &Option<String>| {
                let mut world = world.clone();
                world.subjects.insert((*subject).to_owned(), value.clone());
                world
            };
            if is_whole {
                worlds = worlds.iter().flat_map(|world| values.iter().map(move |value| with(world, value))).collect();
            } else {
                worlds.extend(values.iter().map(|value| with(&World::default(), value)));
            }
        }
        // What no comparison with a text decides is looked at both ways, one condition at a time.
        let undecided = |world: &World| {
            let resolver = self.within(world.clone());
            named.iter().copied().filter(|name| resolver.condition(name).is_none()).collect::<BTreeSet<_>>()
        };
        let open: BTreeSet<&str> = match is_whole {
            true => worlds.iter().flat_map(undecided).collect(),
            false => named.clone(),
        };
        for name in open {
            for holds in [true, false] {
                worlds.push(World { conditions: [(name.to_owned(), holds)].into(), ..World::default() });
            }
        }
        worlds.retain(|world| *world != World::default());
        worlds.truncate(2 * WORLDS);
        worlds
    }

    /// What a subject may be: each of these texts, or something else, as far as its declaration lets it.
    fn choices(&self, subject: &str, texts: BTreeSet<String>) -> Vec<Option<String>> {
        let allowed = self.declared.get(subject).and_then(|declaration| declaration.get("AllowedValues"));
        let allowed: Option<Vec<&str>> =
            allowed.and_then(Node::as_sequence).map(|all| all.iter().filter_map(Node::as_str).collect());
        let has_other = allowed.as_ref().is_none_or(|all| all.iter().any(|value| !texts.contains(*value)));
        let is_allowed = |text: &String| allowed.as_ref().is_none_or(|all| all.contains(&text.as_str()));
        let others = has_other.then_some(None);
        texts.into_iter().filter(is_allowed).map(Some).chain(others).collect()
    }

    /// Notes what decides a condition: names that are compared with texts, and the texts.
    fn compared(
        &self,
        name: &'t str,
        seen: &mut BTreeSet<&'t str>,
        subjects: &mut BTreeMap<&'t str, BTreeSet<String>>,
    ) {
        let Some(definition) = self.conditions.get(name).copied().filter(|_| seen.insert(name)) else { return };
        // A list and no recursion: conditions may name each other in a long chain.
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
                        if let (Some(subject), Found::Text(text)) = (self.subject(one), self.resolve(other)) {
                            subjects.entry(subject).or_default().insert(text);
                        }
                    }
                }
                (_, Some(parts)) => left.extend(parts),
                (_, None) => {}
            }
        }
    }

    /// The name that a node refers to, if its value is not known.
    fn subject(&self, node: &'t Node) -> Option<&'t str> {
        let name = call(node).filter(|call| call.function == "Ref")?.text()?;
        (self.reference(name) == Found::Unknown).then_some(name)
    }

    /// Whether what is not known is this text, in the world that is looked at.
    fn is_taken_for(&self, node: &'t Node, text: &str) -> Option<bool> {
        let taken = self.world.subjects.get(self.subject(node)?)?;
        Some(taken.as_deref() == Some(text))
    }

    pub(crate) fn resolve(&self, node: &'t Node) -> Found<'t> {
        self.node(node, DEPTH)
    }

    /// The items of a list that have a value, each with the node that it comes from. `None` where this is no list or nobody can
    /// know.
    pub(crate) fn items(&self, node: &'t Node) -> Option<Vec<(&'t Node, Found<'t>)>> {
        match self.resolve(node) {
            Found::Absent => Some(Vec::new()),
            Found::Texts(texts) => Some(texts.into_iter().map(|text| (node, literal(text))).collect()),
            Found::Tree(tree) => {
                let items = tree.as_sequence()?.iter().map(|item| (item, self.resolve(item)));
                Some(items.filter(|(_, found)| *found != Found::Absent).collect())
            }
            Found::Text(_) | Found::Pieces(_) | Found::Unknown => None,
        }
    }

    /// Whether a named condition holds, if that can be known.
    pub(crate) fn condition(&self, name: &'t str) -> Option<bool> {
        self.named_condition(name, DEPTH)
    }

    fn node(&self, node: &'t Node, depth: usize) -> Found<'t> {
        let Some(depth) = depth.checked_sub(1) else { return Found::Unknown };
        match call(node) {
            // Outside of conditions `Condition` is a key like others, as in a policy statement.
            Some(call) if call.function != "Condition" => self.call(&call, depth),
            _ => match &node.value {
                Value::Scalar { text, plain } => scalar(text, *plain),
                Value::Sequence(_) | Value::Mapping(_) => Found::Tree(node),
            },
        }
    }

    fn call(&self, call: &Call<'t>, depth: usize) -> Found<'t> {
        match (call.function, call.list()) {
            ("Ref", _) => call.text().map_or(Found::Unknown, |name| self.reference(name)),
            ("Sub", _) => self.substitute(call, depth),
            ("GetAtt", _) => self.attribute(call),
            ("If", Some([condition, yes, no])) => {
                match condition.as_str().and_then(|name| self.named_condition(name, depth)) {
                    Some(true) => self.node(yes, depth),
                    Some(false) => self.node(no, depth),
                    None => Found::Unknown,
                }
            }
            ("Join", Some([delimiter, list])) => self.join(delimiter, list, depth),
            ("Split", Some([delimiter, text])) => match (self.node(delimiter, depth), self.node(text, depth)) {
                (Found::Text(delimiter), Found::Text(text)) if !delimiter.is_empty() => {
                    Found::Texts(text.split(delimiter.as_str()).map(str::to_owned).collect())
                }
                _ => Found::Unknown,
            },
            ("Select", Some([index, list])) => self.select(index, list, depth),
            ("FindInMap", Some([map, top, second, rest @ ..])) => {
                let found = self.find_in_map([map, top, second], depth);
                // With the transform AWS::LanguageExtensions, a mapping with `DefaultValue` may follow.
                let default = || rest.first().and_then(|options| options.get("DefaultValue"));
                match found {
                    Ok(Some(node)) => self.node(node, depth),
                    Ok(None) => default().map_or(Found::Unknown, |node| self.node(node, depth)),
                    Err(_) => Found::Unknown,
                }
            }
            // `Fn::ImportValue`, `Fn::GetAZs`, `Fn::Transform` and what is yet to come: the answer is not in the template.
            _ => Found::Unknown,
        }
    }

    fn reference(&self, name: &str) -> Found<'t> {
        if name == "AWS::NoValue" {
            return Found::Absent;
        }
        match self.parameter(name) {
            Some(found) => found,
            None => self.resource(name, None),
        }
    }

    /// A resource of this template or one of its attributes, by its name.
    fn resource(&self, name: &str, attribute: Option<&str>) -> Found<'t> {
        if !self.resources.contains(name) {
            return Found::Unknown;
        }
        Found::Pieces(vec![Piece::Resource { logical_id: name.to_owned(), attribute: attribute.map(str::to_owned) }])
    }

    fn attribute(&self, call: &Call<'t>) -> Found<'t> {
        let (name, attribute) = match (call.text(), call.list()) {
            (Some(text), _) => text.split_once('.').unwrap_or((text, "")),
            (None, Some([name, attribute])) if attribute.tag.is_none() => {
                (name.as_str().unwrap_or_default(), attribute.as_str().unwrap_or_default())
            }
            _ => return Found::Unknown,
        };
        if attribute.is_empty() { Found::Unknown } else { self.resource(name, Some(attribute)) }
    }

    /// The value of a parameter. `None` where there is no such parameter.
    fn parameter(&self, name: &str) -> Option<Found<'t>> {
        if name.starts_with("AWS::") {
            // A pseudo parameter, which whoever knows where the template is going may give.
            let region = self.world.region.filter(|_| name == "AWS::Region");
            let value = self.given.get(name).map(String::as_str).or(region);
            return Some(value.map_or(Found::Unknown, |value| literal(value.to_owned())));
        }
        let declaration = self.declared.get(name)?;
        let Some(kind) = declaration.get("Type").and_then(Node::as_str) else { return Some(Found::Unknown) };
        let value = match self.given.get(name) {
            Some(given) => literal(given.clone()),
            None => match declaration.get("Default").map(|default| &default.value) {
                Some(Value::Scalar { text, plain }) => scalar(text, *plain),
                // Without a default somebody must give it.
                Some(_) | None => Found::Unknown,
            },
        };
        let is_list = kind == "CommaDelimitedList" || kind.starts_with("List<");
        Some(match value {
            // The value of an `AWS::SSM::Parameter::Value<...>` is only the name of a value.
            _ if kind.starts_with("AWS::SSM::Parameter::Value<") => Found::Unknown,
            Found::Text(text) if is_list => Found::Texts(text.split(',').map(|item| item.trim().to_owned()).collect()),
            // `Default:` with nothing behind it.
            Found::Absent => Found::Text(String::new()),
            found => found,
        })
    }

    fn substitute(&self, call: &Call<'t>, depth: usize) -> Found<'t> {
        let nothing: &[(Node, Node)] = &[];
        let (pattern, variables) = match (call.text(), call.list()) {
            (Some(pattern), _) => (Some(pattern), nothing),
            (None, Some([pattern, variables])) => (pattern.as_str(), variables.entries().unwrap_or_default()),
            _ => (None, nothing),
        };
        let Some(pattern) = pattern else { return Found::Unknown };
        // Each once, however often the pattern names it: patterns within patterns would double the work at every level.
        let variables: BTreeMap<&str, Found<'t>> =
            variables.iter().filter_map(|(key, value)| Some((key.as_str()?, self.node(value, depth)))).collect();
        let mut out = Pieces::default();
        let mut rest = pattern;
        while let Some((before, after)) = rest.split_once("${") {
            out.text(before);
            let Some((name, after)) = after.split_once('}') else { return Found::Unknown };
            match name.strip_prefix('!') {
                Some(literal) => ["${", literal, "}"].into_iter().for_each(|text| out.text(text)),
                None => out.found(match variables.get(name.trim()) {
                    Some(found) => found.clone(),
                    None => self.named(name.trim()),
                }),
            }
            if out.is_too_long() {
                return Found::Unknown;
            }
            rest = after;
        }
        out.text(rest);
        out.into_found()
    }

    /// What `${name}` stands for.
    fn named(&self, name: &str) -> Found<'t> {
        match name.split_once('.') {
            Some((resource, attribute)) => self.resource(resource, Some(attribute)),
            None => self.reference(name),
        }
    }

    fn join(&self, delimiter: &'t Node, list: &'t Node, depth: usize) -> Found<'t> {
        let (Found::Text(delimiter), Some(items)) = (self.text_or_empty(delimiter, depth), self.list(list, depth))
        else {
            return Found::Unknown;
        };
        let mut out = Pieces::default();
        for (index, item) in items.into_iter().filter(|item| *item != Found::Absent).enumerate() {
            if index > 0 {
                out.text(&delimiter);
            }
            out.found(item);
            if out.is_too_long() {
                return Found::Unknown;
            }
        }
        out.into_found()
    }

    /// A delimiter may be nothing.
    fn text_or_empty(&self, node: &'t Node, depth: usize) -> Found<'t> {
        match self.node(node, depth) {
            Found::Absent => Found::Text(String::new()),
            found => found,
        }
    }

    fn list(&self, node: &'t Node, depth: usize) -> Option<Vec<Found<'t>>> {
        match self.node(node, depth) {
            Found::Texts(texts) => Some(texts.into_iter().map(literal).collect()),
            Found::Tree(tree) => Some(tree.as_sequence()?.iter().map(|item| self.node(item, depth)).collect()),
            Found::Text(_) | Found::Pieces(_) | Found::Absent | Found::Unknown => None,
        }
    }

    fn select(&self, index: &'t Node, list: &'t Node, depth: usize) -> Found<'t> {
        let Found::Text(index) = self.node(index, depth) else { return Found::Unknown };
        let Ok(index) = index.parse::<usize>() else { return Found::Unknown };
        match self.node(list, depth) {
            Found::Texts(texts) => texts.into_iter().nth(index).map_or(Found::Unknown, literal),
            Found::Tree(tree) => {
                let item = tree.as_sequence().and_then(|items| items.get(index));
                item.map_or(Found::Unknown, |item| self.node(item, depth))
            }
            Found::Text(_) | Found::Pieces(_) | Found::Absent | Found::Unknown => Found::Unknown,
        }
    }

    /// `Ok(None)` where the mapping is known not to have the keys, `Err` where the keys are unknown.
    fn find_in_map(&self, [map, top, second]: [&'t Node; 3], depth: usize) -> Result<Option<&'t Node>, ()> {
        let key = |node: &'t Node| match self.node(node, depth) {
            Found::Text(key) => Ok(key),
            _ => Err(()),
        };
        let (map, top, second) = (key(map)?, key(top)?, key(second)?);
        let mappings = self.template.root.get("Mappings").ok_or(())?;
        let map = mappings.get(&map).ok_or(())?;
        // A mapping that a macro fills in has keys that nobody can see.
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
        if let Some(holds) = self.world.conditions.get(name) {
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
                (Found::Text(a), Found::Text(b)) => Some(a == b),
                (Found::Text(text), _) => self.is_taken_for(b, &text),
                (_, Found::Text(text)) => self.is_taken_for(a, &text),
                _ => None,
            },
            ("Not", Some([part])) => self.decide(part, depth).map(|holds| !holds),
            // One part can settle it, however unknown the others are.
            ("And", Some([_, ..])) => all(parts()),
            ("Or", Some([_, ..])) => all(parts().map(|part| part.map(|holds| !holds))).map(|none| !none),
            _ => None,
        }
    }
}

/// The conditions that a node names: where it stands at a resource, and in `Fn::If`.
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

/// Three-valued "and".
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

/// A scalar as CloudFormation reads it. It says that it follows YAML 1.1, in which an unquoted `yes` or `on` is true and `010` is 8.
/// The words are taken as 1.1 has them; numbers that the two versions do not read alike are unknown, since how CloudFormation writes
/// them again is not documented, and so are `y` and `n`, which 1.1 counts among the words and most parsers do not.
fn scalar(text: &str, plain: bool) -> Found<'static> {
    if !plain {
        return literal(text.to_owned());
    }
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_decimal = digits == "0" || (!digits.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit()));
    match ScalarKind::of_plain(text) {
        ScalarKind::Null => Found::Absent,
        ScalarKind::Boolean => Found::Text(text.to_ascii_lowercase()),
        ScalarKind::Number if is_decimal => Found::Text(text.to_owned()),
        ScalarKind::Number => Found::Unknown,
        ScalarKind::Text => match text {
            "yes" | "Yes" | "YES" | "on" | "On" | "ON" => Found::Text("true".to_owned()),
            "no" | "No" | "NO" | "off" | "Off" | "OFF" => Found::Text("false".to_owned()),
            "y" | "Y" | "n" | "N" => Found::Unknown,
            // Digits with underscores or colons are numbers in YAML 1.1.
            _ if text.starts_with(|c: char| c.is_ascii_digit())
                && text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'_' | b':')) =>
            {
                Found::Unknown
            }
            _ => literal(text.to_owned()),
        },
    }
}

/// A text, unless it asks CloudFormation to fetch it from elsewhere.
fn literal(text: String) -> Found<'static> {
    if text.contains("{{resolve:") { Found::Unknown } else { Found::Text(text) }
}

/// A text that is being put together.
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

    fn found(&mut self, found: Found<'_>) {
        match found {
            Found::Text(text) => self.text(&text),
            Found::Pieces(pieces) => {
                for piece in pieces {
                    match piece {
                        Piece::Text(text) => self.text(&text),
                        other => self.push(other),
                    }
                }
            }
            Found::Tree(_) | Found::Texts(_) | Found::Absent | Found::Unknown => self.push(Piece::Unknown),
        }
    }

    fn push(&mut self, piece: Piece) {
        self.length += 32;
        self.pieces.push(piece);
    }

    fn is_too_long(&self) -> bool {
        self.length > LONGEST
    }

    fn into_found(self) -> Found<'static> {
        if self.is_too_long() {
            return Found::Unknown;
        }
        let mut pieces = self.pieces.into_iter();
        match (pieces.next(), pieces.next()) {
            (None, _) => Found::Text(String::new()),
            (Some(Piece::Text(text)), None) => literal(text),
            (Some(Piece::Unknown), None) => Found::Unknown,
            (Some(one), None) => Found::Pieces(vec![one]),
            (Some(one), Some(other)) => Found::Pieces([one, other].into_iter().chain(pieces).collect()),
        }
    }
}
