//! What Audit Manager's controls say of an inventory, and why.
//!
//! [`Asked::all`] says what a framework asks, [`Evaluator`] answers it for everything in an [`Inventory`]: compliant, not
//! compliant, or undecided, each with its reason as data. Equal input has equal answers in equal order.
//!
//! Where AWS's documents leave something open and both readings are likely, the answer is undecided and says so. Where one
//! reading is far more likely, it is taken, and said here:
//! - a list of Regions or accounts asks for a copy to each of them;
//! - a lock without a minimum keeps for a day, the least there is, and one without a maximum for 36,500, the most: a framework
//!   that asks for these bounds, which the console fills in, asks for a lock and no more;
//! - an instance of a cluster is judged by its cluster, for AWS Backup backs it up with the cluster and never alone;
//! - recovery points that are being made or deleted are not judged, and neither are the policies of air-gapped vaults, which
//!   AWS Config records as another type;
//! - a recovery point's age is counted from when its making began.

use std::collections::{BTreeMap, HashMap};

use jiff::tz::TimeZone;

use crate::inventory::document::{
    Lock, PlanPart, RecoveryPointPart, RecoveryPointStatus, Restore, VaultKind, VaultPart,
};
use crate::inventory::{
    Gap, Inventory, Part, PlaceId, Placed, Plan, Protected, RecoveryPoint, Resource, Selection, Text, Vault, protected,
};

mod asked;
pub(crate) mod pattern;
mod plan;
mod reason;
pub mod schedule;
mod selection;
#[cfg(test)]
mod tests;
mod truth;
mod value;
pub mod vault_policy;
mod words;

pub use asked::{Asked, Narrowed};
pub use reason::{Change, Clause, Flaw, Lack, Miss, Near, Operator, Short, Unknown, Unlocked, Verdict, Why};

use plan::Copies;
use selection::{Candidate, Ready};
use truth::Truth;

/// What a control says of one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement<'a> {
    /// Which question it answers, counted from 0 in the order in which they were asked.
    pub question: usize,
    /// The question.
    pub asked: &'a Asked,
    /// What it is about.
    pub subject: Subject<'a>,
    /// The answer.
    pub verdict: Verdict<'a>,
}

/// What a judgement is about.
#[derive(Debug, Clone, Copy)]
pub enum Subject<'a> {
    /// A resource that may need a backup.
    Resource(&'a Resource),
    /// A backup plan.
    Plan(&'a Plan),
    /// A vault.
    Vault(&'a Vault),
    /// A recovery point.
    RecoveryPoint(&'a RecoveryPoint),
}

impl Subject<'_> {
    /// The id that AWS Config knows it by.
    #[must_use]
    pub fn id(&self) -> &str {
        match self {
            Self::Resource(resource) => resource.id(),
            Self::Plan(plan) => &plan.id,
            Self::Vault(vault) => &vault.name,
            Self::RecoveryPoint(point) => &point.arn,
        }
    }

    /// Its name, where it has one beside its id.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Resource(resource) => resource.name(),
            Self::Plan(plan) => Some(&plan.name),
            Self::Vault(_) | Self::RecoveryPoint(_) => None,
        }
    }
}

impl Eq for Subject<'_> {}

impl PartialEq for Subject<'_> {
    /// The same thing of the same inventory, and not one that looks like it.
    fn eq(&self, other: &Self) -> bool {
        match (*self, *other) {
            (Self::Resource(one), Self::Resource(other)) => std::ptr::eq(one, other),
            (Self::Plan(one), Self::Plan(other)) => std::ptr::eq(one, other),
            (Self::Vault(one), Self::Vault(other)) => std::ptr::eq(one, other),
            (Self::RecoveryPoint(one), Self::RecoveryPoint(other)) => std::ptr::eq(one, other),
            _ => false,
        }
    }
}

/// How many judgements there are of each kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Compliant.
    pub compliant: u64,
    /// Not compliant.
    pub not_compliant: u64,
    /// Undecided.
    pub undecided: u64,
}

impl Tally {
    /// Counts one more.
    pub fn add(&mut self, verdict: &Verdict<'_>) {
        match verdict {
            Verdict::Compliant(_) => self.compliant += 1,
            Verdict::NotCompliant(_) => self.not_compliant += 1,
            Verdict::Undecided(_) => self.undecided += 1,
        }
    }
}

/// Answers questions about an inventory.
#[derive(Debug)]
pub struct Evaluator<'a> {
    inventory: &'a Inventory,
    questions: Vec<Question<'a>>,
    /// By the number of the place.
    places: Vec<Here<'a>>,
    kinds: HashMap<Text, &'static Protected>,
    /// Clusters that resources say to be members of.
    clusters: HashMap<&'a str, &'a Resource>,
    /// By the resource, the newest first.
    points: Vec<&'a Placed<RecoveryPoint>>,
    /// The last of each resource.
    restores: HashMap<&'a str, &'a Restore>,
    /// The first account and Region whose recovery points were not all read.
    point_gap: Option<Gap<'a>>,
}

/// What there is in a place.
#[derive(Debug, Default)]
struct Here<'a> {
    /// Plans, by their number in the inventory.
    plans: Vec<usize>,
    /// Selections with the number of their plan.
    selections: Vec<(usize, Ready<'a>)>,
    /// By name; `None` where several have it, of which nobody knows which one there will be.
    vaults: BTreeMap<&'a str, Option<&'a Vault>>,
}

/// A question, made ready.
#[derive(Debug)]
struct Question<'a> {
    asked: &'a Asked,
    about: About,
    test: Test<'a>,
    /// For questions about the plans of a resource: what each plan of the inventory does of what is asked.
    plans: Vec<Vec<Truth>>,
    /// The tag that it is narrowed to, as the inventory has it.
    tag: Option<Text>,
}

impl Question<'_> {
    /// What is not known where it is not known whether something is asked about.
    fn scope_unknown(&self, tags_unread: bool) -> Unknown<'static> {
        match &self.asked.scope {
            Narrowed::Tag { types, .. } if types.is_empty() || tags_unread => Unknown::Tags,
            _ => Unknown::Scope,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum About {
    Resources,
    Plans,
    Vaults,
    RecoveryPoints,
}

/// What a control tests, with its parameters.
#[derive(Debug)]
enum Test<'a> {
    Selected,
    Copied(Copies<'a>),
    Locked {
        min: Option<u64>,
        max: Option<u64>,
    },
    OftenAndLong {
        most_minutes: u64,
        days: u64,
    },
    NotDeleted {
        exempt: Vec<&'a str>,
    },
    Encrypted,
    Kept {
        days: u64,
    },
    Recent {
        most_minutes: i64,
    },
    Restored {
        most_minutes: u64,
    },
    AirGapped {
        most_minutes: i64,
    },
    /// A parameter is not known or makes no sense.
    Unclear(&'static str),
}

/// That a plan takes a resource in, or may.
#[derive(Debug, Clone, Copy)]
struct Cover {
    plan: usize,
    /// The place of the selection among those of the place; `None` where it was not read.
    selection: Option<usize>,
    truth: Truth,
}

impl<'a> Evaluator<'a> {
    /// Makes everything ready: patterns are taken apart, schedules and policies judged, once each.
    #[must_use]
    pub fn new(inventory: &'a Inventory, asked: &'a [Asked]) -> Self {
        let mut places: Vec<Here<'a>> = inventory.places.iter().map(|_| Here::default()).collect();
        for (number, plan) in inventory.plans.iter().enumerate() {
            if let Some(here) = places.get_mut(plan.place.index()) {
                here.plans.push(number);
                let ready = plan.it.selections.iter().map(|selection| Ready::new(inventory, &plan.it, selection));
                here.selections.extend(ready.map(|ready| (number, ready)));
            }
        }
        for vault in &inventory.vaults {
            if let Some(here) = places.get_mut(vault.place.index()) {
                let it = &vault.it;
                let own = here.vaults.entry(&it.name).or_insert(Some(it));
                *own = own.filter(|own| (own.kind, own.lock, &own.unread) == (it.kind, it.lock, &it.unread));
            }
        }
        let mut evaluator = Self {
            inventory,
            questions: Vec::new(),
            places,
            kinds: HashMap::new(),
            clusters: HashMap::new(),
            points: Vec::new(),
            restores: HashMap::new(),
            point_gap: None,
        };
        evaluator.questions = asked.iter().map(|asked| evaluator.question(asked)).collect();
        evaluator.index();
        evaluator
    }

    /// Looks up what the questions need, and nothing else.
    fn index(&mut self) {
        let inventory = self.inventory;
        for resource in &inventory.resources {
            if let Some(cluster) = resource.cluster() {
                self.clusters.insert(cluster, resource);
            }
        }
        // Until here each stands beside one of its members.
        let members = std::mem::take(&mut self.clusters);
        for resource in &inventory.resources {
            if !self.kinds.contains_key(&resource.kind)
                && let Some(protected) = protected(inventory.kind(resource))
            {
                self.kinds.insert(resource.kind, protected);
            }
            if members.contains_key(resource.key()) {
                self.clusters.insert(resource.key(), resource);
            }
        }
        let asks = |test: fn(&Test<'_>) -> bool| self.questions.iter().any(|question| test(&question.test));
        if asks(|test| matches!(test, Test::Recent { .. } | Test::AirGapped { .. })) {
            self.points = inventory.recovery_points.iter().collect();
            self.points.sort_by(|one, other| {
                one.it.resource.cmp(&other.it.resource).then(other.it.created.cmp(&one.it.created))
            });
        }
        if asks(|test| matches!(test, Test::AirGapped { .. })) {
            let is_of_points = |gap: &Gap<'_>| gap.part.is_none_or(|part| part == Part::RecoveryPoints);
            self.point_gap = inventory.gaps().into_iter().find(is_of_points);
        }
        if asks(|test| matches!(test, Test::Restored { .. })) {
            for restore in &inventory.restores {
                let last = self.restores.entry(&restore.resource).or_insert(restore);
                if last.completed < restore.completed {
                    *last = restore;
                }
            }
        }
    }

    fn question(&self, asked: &'a Asked) -> Question<'a> {
        let about = match asked.control.resource_types {
            ["AWS::Backup::BackupPlan"] => About::Plans,
            ["AWS::Backup::BackupVault"] => About::Vaults,
            ["AWS::Backup::RecoveryPoint"] => About::RecoveryPoints,
            _ => About::Resources,
        };
        let test = test(asked);
        let plans = self.inventory.plans.iter().map(|plan| match &test {
            Test::Copied(copies) => copies.made_by(&plan.it),
            Test::Locked { min, max } => vec![self.locks(plan, *min, *max)],
            _ => vec![Truth::Yes],
        });
        let tag = match &asked.scope {
            Narrowed::Tag { key, .. } => self.inventory.texts.find(key),
            _ => None,
        };
        Question { asked, about, plans: plans.collect(), tag, test }
    }

    /// Judges everything that the questions are about, resources first, in the order of the inventory; of each thing the
    /// questions in their order.
    pub fn each(&self, mut take: impl FnMut(Judgement<'a>)) {
        let about = |about| self.questions.iter().enumerate().filter(move |(_, question)| question.about == about);
        let mut covers = Vec::new();
        if about(About::Resources).next().is_some() {
            for resource in &self.inventory.resources {
                self.resource(resource, &mut covers, &mut take);
            }
        }
        let date = self.inventory.as_of.to_zoned(TimeZone::UTC).date();
        for plan in &self.inventory.plans {
            for (number, question) in about(About::Plans) {
                let tags = &plan.it.tags;
                let unread = plan.it.unread.contains(&PlanPart::Tags);
                let subject = Subject::Plan(&plan.it);
                self.other(number, question, subject, (tags, unread), &mut take, || match question.test {
                    Test::OftenAndLong { most_minutes, days } => {
                        plan::often_and_long(&plan.it, most_minutes, days, date)
                    }
                    _ => Verdict::Undecided(vec![Unknown::Scope]),
                });
            }
        }
        for vault in self.inventory.vaults.iter().filter(|vault| vault.it.kind == VaultKind::Ordinary) {
            for (number, question) in about(About::Vaults) {
                let unread = vault.it.unread.contains(&VaultPart::Tags);
                let subject = Subject::Vault(&vault.it);
                self.other(number, question, subject, (&vault.it.tags, unread), &mut take, || match &question.test {
                    Test::NotDeleted { exempt } => self.not_deleted(vault, exempt),
                    _ => Verdict::Undecided(vec![Unknown::Scope]),
                });
            }
        }
        for point in &self.inventory.recovery_points {
            if matches!(point.it.status, RecoveryPointStatus::Creating | RecoveryPointStatus::Deleting) {
                continue;
            }
            for (number, question) in about(About::RecoveryPoints) {
                let unread = point.it.unread.contains(&RecoveryPointPart::Tags);
                let subject = Subject::RecoveryPoint(&point.it);
                self.other(number, question, subject, (&point.it.tags, unread), &mut take, || match question.test {
                    Test::Encrypted => encrypted(&point.it),
                    Test::Kept { days } => kept(&point.it, days),
                    _ => Verdict::Undecided(vec![Unknown::Scope]),
                });
            }
        }
    }

    /// All judgements at once.
    #[must_use]
    pub fn all(&self) -> Vec<Judgement<'a>> {
        let mut all = Vec::new();
        self.each(|judgement| all.push(judgement));
        all
    }

    /// A thing that is no resource: narrowed by its tags, then judged.
    fn other(
        &self,
        number: usize,
        question: &Question<'a>,
        subject: Subject<'a>,
        (tags, tags_unread): (&BTreeMap<String, String>, bool),
        take: &mut impl FnMut(Judgement<'a>),
        judge: impl FnOnce() -> Verdict<'a>,
    ) {
        let is_own =
            |types: &[String]| types.iter().any(|kind| question.asked.control.resource_types == [kind.as_str()]);
        let in_scope = match &question.asked.scope {
            Narrowed::Not => Truth::Yes,
            Narrowed::Types(types) => is_own(types).into(),
            Narrowed::Resource { id, types } => {
                let is_it = subject.id() == id || subject.name() == Some(id);
                (is_it && (types.is_empty() || is_own(types))).into()
            }
            Narrowed::Tag { key, value, types } => match tags.get(key) {
                Some(found) if value.as_ref().is_some_and(|value| value != found) => Truth::No,
                Some(_) if types.is_empty() || is_own(types) => Truth::Yes,
                Some(_) => Truth::Unknown,
                None if tags_unread => Truth::Unknown,
                None => Truth::No,
            },
            Narrowed::Unknown => Truth::Unknown,
        };
        let verdict = match (in_scope, &question.test) {
            (Truth::No, _) => return,
            (Truth::Unknown, _) => Verdict::Undecided(vec![question.scope_unknown(tags_unread)]),
            (Truth::Yes, Test::Unclear(name)) => Verdict::Undecided(vec![Unknown::Parameter { name }]),
            (Truth::Yes, _) => judge(),
        };
        take(Judgement { question: number, asked: question.asked, subject, verdict });
    }

    fn resource(&self, resource: &'a Resource, covers: &mut Vec<Cover>, take: &mut impl FnMut(Judgement<'a>)) {
        let Some(protected) = self.kinds.get(&resource.kind).copied() else { return };
        // A member of a cluster is what its cluster is.
        let cluster = resource.cluster().and_then(|arn| self.clusters.get(arn).copied());
        let engine = cluster.and_then(|cluster| cluster.engine).or(resource.engine);
        let engine = engine.map(|engine| self.inventory.texts.get(engine));
        if !resource.active || !protected.is_asked_about(engine) {
            return;
        }
        // Its cluster stands in for a member.
        let lacks_engine =
            |resource: &Resource, protected: &Protected| protected.needs_engine() && resource.engine.is_none();
        let candidate = match resource.cluster() {
            None if lacks_engine(resource, protected) => Err(Unknown::Engine),
            None => Ok(self.candidate(resource, protected)),
            Some(arn) => {
                let cluster = self.clusters.get(arn).copied();
                let cluster = cluster.and_then(|cluster| Some((cluster, self.kinds.get(&cluster.kind).copied()?)));
                match cluster {
                    None => Err(Unknown::Cluster { arn }),
                    Some((cluster, kind)) if lacks_engine(cluster, kind) => Err(Unknown::Engine),
                    Some((cluster, kind)) => Ok(self.candidate(cluster, kind)),
                }
            }
        };
        let mut covered = false;
        for (number, question) in self.questions.iter().enumerate() {
            if question.about != About::Resources
                || (matches!(question.test, Test::Copied(_)) && !protected.copies_are_asked_about(engine))
            {
                continue;
            }
            let verdict = match (self.narrowed(question, resource), &question.test, &candidate) {
                (Truth::No, _, _) => continue,
                (Truth::Unknown, _, _) => Verdict::Undecided(vec![question.scope_unknown(resource.tags_unread)]),
                (Truth::Yes, Test::Unclear(name), _) => Verdict::Undecided(vec![Unknown::Parameter { name }]),
                (Truth::Yes, _, Err(unknown)) => Verdict::Undecided(vec![unknown.clone()]),
                (Truth::Yes, Test::Recent { most_minutes }, Ok(candidate)) => {
                    self.recent(candidate.resource, *most_minutes, false)
                }
                (Truth::Yes, Test::AirGapped { most_minutes }, Ok(candidate)) => {
                    self.recent(candidate.resource, *most_minutes, true)
                }
                (Truth::Yes, Test::Restored { most_minutes }, Ok(candidate)) => {
                    self.restored(candidate.resource, *most_minutes)
                }
                (Truth::Yes, _, Ok(candidate)) => {
                    if !covered {
                        self.covers(candidate, covers);
                        covered = true;
                    }
                    self.planned(question, candidate, covers, resource.cluster())
                }
            };
            take(Judgement { question: number, asked: question.asked, subject: Subject::Resource(resource), verdict });
        }
    }

    fn narrowed(&self, question: &Question<'_>, resource: &Resource) -> Truth {
        let own = self.inventory.kind(resource);
        let is_of = |types: &[String]| types.iter().any(|kind| kind == own);
        match &question.asked.scope {
            Narrowed::Not => Truth::Yes,
            Narrowed::Unknown => Truth::Unknown,
            Narrowed::Types(types) => is_of(types).into(),
            Narrowed::Resource { id, types } => {
                let is_it = resource.id() == id || resource.name() == Some(id) || resource.arn() == id;
                (is_it && (types.is_empty() || is_of(types))).into()
            }
            Narrowed::Tag { value, types, .. } => {
                let has_it = match question.tag.and_then(|key| resource.tag(key)) {
                    None if resource.tags_unread => Truth::Unknown,
                    None => Truth::No,
                    Some(found) => match (value, found.value) {
                        (None, _) => Truth::Yes,
                        (Some(_), None) => Truth::Unknown,
                        (Some(value), Some(found)) => (self.inventory.texts.get(found) == value).into(),
                    },
                };
                if types.is_empty() || is_of(types) { has_it } else { has_it.and(Truth::Unknown) }
            }
        }
    }

    fn candidate(&self, resource: &'a Resource, protected: &'static Protected) -> Candidate<'a> {
        let service = protected.opt_in(resource.engine.map(|engine| self.inventory.texts.get(engine)));
        let read = self.inventory.at(resource.place).and_then(|place| place.read.as_ref());
        let opt_in = read.and_then(|read| read.opt_in.get(service)).map_or(Truth::Unknown, |on| (*on).into());
        Candidate { resource, protected, opt_in, service }
    }

    /// The plans that take a resource in, or may.
    fn covers(&self, candidate: &Candidate<'a>, covers: &mut Vec<Cover>) {
        covers.clear();
        let Some(here) = self.places.get(candidate.resource.place.index()) else { return };
        for (number, (plan, ready)) in here.selections.iter().enumerate() {
            let truth = ready.takes(self.inventory, candidate);
            if truth != Truth::No {
                covers.push(Cover { plan: *plan, selection: Some(number), truth });
            }
        }
        for plan in &here.plans {
            if self.plan(*plan).is_some_and(|plan| plan.unread.contains(&PlanPart::Selections)) {
                covers.push(Cover { plan: *plan, selection: None, truth: Truth::Unknown });
            }
        }
    }

    fn plan(&self, number: usize) -> Option<&'a Plan> {
        self.inventory.plans.get(number).map(|plan| &plan.it)
    }

    /// Whether the plans that take a resource in do what is asked of them.
    fn planned(
        &self,
        question: &Question<'a>,
        candidate: &Candidate<'a>,
        covers: &[Cover],
        cluster: Option<&'a str>,
    ) -> Verdict<'a> {
        let place = candidate.resource.place;
        let gaps = || [Part::Plans, Part::Selections].into_iter().filter_map(|part| self.inventory.unread(place, part));
        let does = |plan: usize, target: usize| {
            question.plans.get(plan).and_then(|does| does.get(target)).copied().unwrap_or(Truth::No)
        };
        // Of each target: whether some plan that takes the resource in does it.
        let targets = match &question.test {
            Test::Copied(copies) => copies.targets(),
            _ => 1,
        };
        let unseen = if gaps().next().is_some() { Truth::Unknown } else { Truth::No };
        let truth_of = |target: usize| {
            covers.iter().map(|cover| cover.truth.and(does(cover.plan, target))).max().unwrap_or(Truth::No).or(unseen)
        };
        let truth = (0..targets).map(truth_of).min().unwrap_or(Truth::Yes);
        match truth {
            Truth::Yes => {
                let first = covers.iter().find(|cover| {
                    cover.truth == Truth::Yes && (0..targets).any(|target| does(cover.plan, target) == Truth::Yes)
                });
                let plan = first.and_then(|cover| self.plan(cover.plan));
                let selection = first.and_then(|cover| self.selection(place, cover.selection?));
                match (plan, selection, &question.test) {
                    (Some(plan), _, Test::Copied(_)) => Verdict::Compliant(Why::Copied { plan }),
                    (Some(plan), _, Test::Locked { .. }) => Verdict::Compliant(Why::Locked { plan }),
                    (Some(plan), Some(selection), _) => Verdict::Compliant(Why::Selected { plan, selection }),
                    // A truth without a plan cannot be.
                    _ => Verdict::Undecided(vec![Unknown::Scope]),
                }
            }
            Truth::No if covers.iter().any(|cover| cover.truth == Truth::Yes) => {
                let mut plans: Vec<&'a Plan> = Vec::new();
                for cover in covers.iter().filter(|cover| cover.truth == Truth::Yes) {
                    plans.extend(
                        self.plan(cover.plan).filter(|plan| !plans.iter().any(|known| std::ptr::eq(*known, *plan))),
                    );
                }
                match &question.test {
                    Test::Copied(copies) => {
                        let missing =
                            copies.list().iter().enumerate().filter(|(target, _)| truth_of(*target) == Truth::No);
                        let to = missing.map(|(_, name)| *name).collect();
                        Verdict::NotCompliant(Flaw::NotCopied { plans, to })
                    }
                    _ => {
                        let vaults = self.unlocked(place, &plans, question);
                        Verdict::NotCompliant(Flaw::NotLocked { plans, vaults })
                    }
                }
            }
            // None that we know of takes it in for certain, and if one did it would not do what is asked.
            Truth::No if !covers.is_empty() && !matches!(question.test, Test::Selected) => match &question.test {
                Test::Copied(copies) => {
                    Verdict::NotCompliant(Flaw::NotCopied { plans: Vec::new(), to: copies.list().to_vec() })
                }
                _ => Verdict::NotCompliant(Flaw::NotLocked { plans: Vec::new(), vaults: Vec::new() }),
            },
            Truth::No => Verdict::NotCompliant(Flaw::NotSelected(Box::new(self.miss(candidate, cluster)))),
            Truth::Unknown => {
                let mut unknown: Vec<Unknown<'a>> = gaps().map(Unknown::from).collect();
                for cover in covers {
                    let matters = (0..targets).any(|target| does(cover.plan, target) != Truth::No);
                    if !matters {
                        continue;
                    }
                    let Some(plan) = self.plan(cover.plan) else { continue };
                    if cover.truth == Truth::Unknown {
                        match self.ready(place, cover.selection) {
                            Some(ready) => unknown.extend(ready.unknown(self.inventory, candidate)),
                            None => unknown.push(Unknown::Selections { plan }),
                        }
                    }
                    if (0..targets).any(|target| does(cover.plan, target) == Truth::Unknown) {
                        match &question.test {
                            Test::Copied(_) => unknown.extend(plan::unknown_copies(plan)),
                            _ => unknown.extend(self.unknown_locks(place, plan)),
                        }
                    }
                }
                undecided(unknown)
            }
        }
    }

    fn ready(&self, place: PlaceId, selection: Option<usize>) -> Option<&Ready<'a>> {
        self.places.get(place.index())?.selections.get(selection?).map(|(_, ready)| ready)
    }

    fn selection(&self, place: PlaceId, selection: usize) -> Option<&'a Selection> {
        self.ready(place, Some(selection)).map(|ready| ready.selection)
    }

    /// The selection that comes nearest to taking a resource in, and what would bring it in.
    fn miss(&self, candidate: &Candidate<'a>, cluster: Option<&'a str>) -> Miss<'a> {
        let (Some(here), Some(place)) =
            (self.places.get(candidate.resource.place.index()), self.inventory.at(candidate.resource.place))
        else {
            return Miss::default();
        };
        let all = || here.selections.iter().map(|(_, ready)| ready);
        let near = |ready: &Ready<'a>| Near {
            plan: ready.plan,
            selection: ready.selection,
            failed: ready.failed(self.inventory, candidate),
        };
        let mendable = all().filter_map(|ready| Some((ready.nearest(self.inventory, candidate)?, ready)));
        match mendable.min_by_key(|(nearest, _)| *nearest) {
            Some((nearest, ready)) => Miss {
                nearest: Some(near(ready)),
                changes: ready.changes(self.inventory, place, candidate, nearest),
                cluster,
            },
            None => {
                Miss { nearest: all().map(near).min_by_key(|near| near.failed.len()), changes: Vec::new(), cluster }
            }
        }
    }

    /// Whether a plan stores into a vault that is locked within bounds.
    fn locks(&self, plan: &Placed<Plan>, min: Option<u64>, max: Option<u64>) -> Truth {
        let own = plan.it.rules.iter().map(|rule| {
            if rule.unread.contains(&crate::inventory::document::RulePart::TargetVault) {
                return Truth::Unknown;
            }
            let vaults = self.places.get(plan.place.index()).map(|here| &here.vaults);
            match vaults.and_then(|vaults| vaults.get(rule.target_vault.as_str())) {
                Some(Some(vault)) => self.is_locked(plan.place, vault, min, max),
                Some(None) => Truth::Unknown,
                None => self.inventory.unread(plan.place, Part::Vaults).map_or(Truth::No, |_| Truth::Unknown),
            }
        });
        let unread = if plan.it.unread.contains(&PlanPart::Rules) { Truth::Unknown } else { Truth::No };
        own.max().unwrap_or(Truth::No).or(unread)
    }

    fn is_locked(&self, place: PlaceId, vault: &Vault, min: Option<u64>, max: Option<u64>) -> Truth {
        let unread =
            vault.unread.contains(&VaultPart::Lock) || self.inventory.unread(place, Part::VaultLocks).is_some();
        let air_gapped = vault.kind == VaultKind::AirGapped;
        let Some(lock) = vault.lock else {
            // An air-gapped vault is locked from the start; within which bounds is written in its lock.
            return match (unread, air_gapped, min.or(max)) {
                (_, true, None) => Truth::Yes,
                (_, true, Some(_)) | (true, false, _) => Truth::Unknown,
                (false, false, _) => Truth::No,
            };
        };
        beyond(lock, min, max).is_none().into()
    }

    /// What is wrong with the vaults that plans store into, each once.
    fn unlocked(&self, place: PlaceId, plans: &[&'a Plan], question: &Question<'_>) -> Vec<Unlocked<'a>> {
        let Test::Locked { min, max } = question.test else { return Vec::new() };
        let mut unlocked: Vec<Unlocked<'a>> = Vec::new();
        for rule in plans.iter().flat_map(|plan| &plan.rules) {
            let name = rule.target_vault.as_str();
            if unlocked.iter().any(|known| known.vault == name) {
                continue;
            }
            let vault = self.places.get(place.index()).and_then(|here| here.vaults.get(name));
            let lack = match vault {
                None => Some(Lack::Vault),
                Some(Some(vault)) => vault.lock.map_or(Some(Lack::Lock), |lock| beyond(lock, min, max)),
                Some(None) => None,
            };
            unlocked.extend(lack.map(|lack| Unlocked { vault: name, lack }));
        }
        unlocked
    }

    fn unknown_locks(&self, place: PlaceId, plan: &'a Plan) -> Vec<Unknown<'a>> {
        let mut unknown = plan::unknown_parts(plan, crate::inventory::document::RulePart::TargetVault);
        for rule in &plan.rules {
            let vault = self.places.get(place.index()).and_then(|here| here.vaults.get(rule.target_vault.as_str()));
            match vault {
                Some(Some(vault)) if vault.lock.is_none() => unknown.push(Unknown::Lock { vault }),
                Some(Some(_)) => {}
                Some(None) | None => unknown.push(Unknown::Vault { name: &rule.target_vault }),
            }
        }
        unknown
    }

    fn not_deleted(&self, vault: &'a Placed<Vault>, exempt: &[&str]) -> Verdict<'a> {
        let Some(policy) = &vault.it.policy else {
            let gap = self.inventory.unread(vault.place, Part::VaultPolicies);
            return match gap {
                Some(gap) => Verdict::Undecided(vec![gap.into()]),
                None if vault.it.unread.contains(&VaultPart::Policy) => Verdict::Undecided(vec![Unknown::Policy]),
                None => Verdict::NotCompliant(Flaw::NoPolicy),
            };
        };
        match vault_policy::judge(policy, exempt) {
            vault_policy::Denial::Denied => Verdict::Compliant(Why::Denied),
            vault_policy::Denial::Open(open) => Verdict::NotCompliant(Flaw::Allowed(open)),
            vault_policy::Denial::Doubtful(doubt) => Verdict::Undecided(vec![Unknown::PolicyDoubt(doubt)]),
        }
    }

    fn points_of(&self, resource: &str) -> &[&'a Placed<RecoveryPoint>] {
        let from = self.points.partition_point(|point| *point.it.resource < *resource);
        let rest = self.points.get(from..).unwrap_or_default();
        let count = rest.partition_point(|point| *point.it.resource == *resource);
        rest.get(..count).unwrap_or_default()
    }

    /// Whether a resource has a recovery point that is young enough: one in its own place, or one in an air-gapped vault
    /// wherever that is.
    fn recent(&self, resource: &'a Resource, most_minutes: i64, air_gapped: bool) -> Verdict<'a> {
        if resource.arn_end_unread {
            return Verdict::Undecided(vec![Unknown::ArnEnd]);
        }
        let mut unknown = Vec::new();
        let mut newest = None;
        for point in self.points_of(resource.arn()) {
            if !air_gapped && point.place != resource.place {
                continue;
            }
            let kind = if air_gapped { self.vault_kind(point) } else { Some(VaultKind::AirGapped) };
            let age = self.inventory.as_of.duration_since(point.it.created);
            let young = age <= jiff::SignedDuration::from_mins(most_minutes);
            match (kind, point.it.status) {
                (Some(VaultKind::Ordinary), _) => {}
                (Some(VaultKind::AirGapped), RecoveryPointStatus::Completed) => {
                    let age_minutes = age.as_mins();
                    if young {
                        return Verdict::Compliant(Why::RecoveryPoint { point: &point.it, age_minutes });
                    }
                    newest = newest.or(Some((&point.it, age_minutes)));
                }
                (Some(VaultKind::AirGapped), RecoveryPointStatus::Available) => {
                    unknown.push(Unknown::ContinuousPoint { point: &point.it });
                }
                (None, RecoveryPointStatus::Available) => unknown.push(Unknown::Vault { name: &point.it.vault }),
                (None, RecoveryPointStatus::Completed) if young => {
                    unknown.push(Unknown::Vault { name: &point.it.vault });
                }
                _ => {}
            }
        }
        unknown.extend(self.inventory.unread(resource.place, Part::RecoveryPoints).map(Unknown::from));
        // Air-gapped vaults stand in other accounts as a rule.
        unknown.extend(self.point_gap.clone().filter(|_| air_gapped).map(Unknown::from));
        if unknown.is_empty() {
            Verdict::NotCompliant(Flaw::NoRecoveryPoint { newest, most_minutes, created: resource.created })
        } else {
            undecided(unknown)
        }
    }

    fn vault_kind(&self, point: &Placed<RecoveryPoint>) -> Option<VaultKind> {
        let here = self.places.get(point.place.index())?;
        let vault = here.vaults.get(point.it.vault.as_str()).copied().flatten();
        point.it.vault_kind.or_else(|| vault.map(|vault| vault.kind))
    }

    fn restored(&self, resource: &'a Resource, most_minutes: u64) -> Verdict<'a> {
        if resource.arn_end_unread {
            return Verdict::Undecided(vec![Unknown::ArnEnd]);
        }
        match self.restores.get(resource.arn()).copied() {
            Some(restore) if restore.minutes <= most_minutes => Verdict::Compliant(Why::Restored { restore }),
            Some(restore) => Verdict::NotCompliant(Flaw::RestoredTooSlowly { restore, most_minutes }),
            None => {
                let gap = self.inventory.unread(resource.place, Part::Restores).map(Unknown::from);
                Verdict::Undecided(vec![gap.unwrap_or(Unknown::NeverRestored)])
            }
        }
    }
}

/// What a control tests; the catalogue's own test keeps names from being missing here.
fn test(asked: &Asked) -> Test<'_> {
    if let Some(name) = asked.unclear() {
        return Test::Unclear(name);
    }
    let signed = |minutes: u64| i64::try_from(minutes).unwrap_or(i64::MAX);
    let known = match asked.control.name {
        "BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN" => Some(Test::Selected),
        "BACKUP_PLAN_MIN_FREQUENCY_AND_MIN_RETENTION_CHECK" => asked
            .minutes("requiredFrequencyValue", "requiredFrequencyUnit")
            .zip(asked.number("requiredRetentionDays"))
            .map(|(most_minutes, days)| Test::OftenAndLong { most_minutes, days }),
        "BACKUP_RECOVERY_POINT_MANUAL_DELETION_DISABLED" => {
            Some(Test::NotDeleted { exempt: asked.list("principalArnList") })
        }
        "BACKUP_RECOVERY_POINT_ENCRYPTED" => Some(Test::Encrypted),
        "BACKUP_RECOVERY_POINT_MINIMUM_RETENTION_CHECK" => {
            asked.number("requiredRetentionDays").map(|days| Test::Kept { days })
        }
        "BACKUP_RESOURCES_PROTECTED_BY_CROSS_REGION" => {
            Some(Test::Copied(Copies::to_regions(asked.list("crossRegionList"))))
        }
        "BACKUP_RESOURCES_PROTECTED_BY_CROSS_ACCOUNT" => {
            Some(Test::Copied(Copies::to_accounts(asked.list("crossAccountList"))))
        }
        "BACKUP_RESOURCES_PROTECTED_BY_BACKUP_VAULT_LOCK" => {
            Some(Test::Locked { min: asked.number("minRetentionDays"), max: asked.number("maxRetentionDays") })
        }
        "BACKUP_LAST_RECOVERY_POINT_CREATED" => asked
            .minutes("recoveryPointAgeValue", "recoveryPointAgeUnit")
            .map(|minutes| Test::Recent { most_minutes: signed(minutes) }),
        "RESTORE_TIME_FOR_RESOURCES_MEET_TARGET" => {
            asked.number("maxRestoreTime").map(|most_minutes| Test::Restored { most_minutes })
        }
        "RESOURCES_IN_LOGICALLY_AIR_GAPPED_VAULT" => asked
            .minutes("recoveryPointAgeValue", "recoveryPointAgeUnit")
            .map(|minutes| Test::AirGapped { most_minutes: signed(minutes) }),
        _ => None,
    };
    known.unwrap_or(Test::Unclear("ControlName"))
}

/// The bound that a lock does not keep.
fn beyond(lock: Lock, min: Option<u64>, max: Option<u64>) -> Option<Lack> {
    /// The bounds of AWS Backup itself (API reference, PutBackupVaultLockConfiguration).
    const LEAST: u64 = 1;
    const MOST: u64 = 36_500;
    let (own_min, own_max) = (lock.min_retention_days, lock.max_retention_days);
    let short = min.filter(|min| own_min.unwrap_or(LEAST) < *min);
    let long = max.filter(|max| own_max.unwrap_or(MOST) > *max);
    let short = short.map(|required| Lack::Minimum { own: own_min, required });
    short.or(long.map(|required| Lack::Maximum { own: own_max, required }))
}

fn encrypted(point: &RecoveryPoint) -> Verdict<'_> {
    match point.encrypted {
        Some(true) => Verdict::Compliant(Why::Encrypted),
        Some(false) => Verdict::NotCompliant(Flaw::NotEncrypted),
        None => Verdict::Undecided(vec![Unknown::Encryption]),
    }
}

fn kept(point: &RecoveryPoint, required: u64) -> Verdict<'_> {
    if point.unread.contains(&RecoveryPointPart::Lifecycle) || point.lifecycle.is_refused() {
        return Verdict::Undecided(vec![Unknown::Lifecycle]);
    }
    match point.lifecycle.kept_days() {
        Some(days) if days < required => Verdict::NotCompliant(Flaw::KeptTooShort { days, required }),
        days => Verdict::Compliant(Why::Kept { days }),
    }
}

/// Each thing once, in the order in which it was met.
fn undecided(unknown: Vec<Unknown<'_>>) -> Verdict<'_> {
    let mut each: Vec<Unknown<'_>> = Vec::new();
    for one in unknown {
        if !each.contains(&one) {
            each.push(one);
        }
    }
    if each.is_empty() {
        each.push(Unknown::Scope);
    }
    Verdict::Undecided(each)
}

impl<'a> From<Gap<'a>> for Unknown<'a> {
    fn from(gap: Gap<'a>) -> Self {
        let Gap { account, region, part, why } = gap;
        Self::Place { account, region, part, why }
    }
}
