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

use crate::inventory::document::{PlanPart, RecoveryPointPart, RecoveryPointStatus, Restore, VaultKind, VaultPart};
use crate::inventory::{
    Gap, Inventory, Part, Placed, Plan, Protected, RecoveryPoint, Resource, Text, Vault, protected,
};

mod asked;
mod coverage;
pub(crate) mod pattern;
mod plan;
mod points;
mod question;
mod reason;
pub mod schedule;
mod selection;
#[cfg(test)]
mod tests;
mod truth;
mod value;
pub mod vault_policy;
mod vaults;
mod words;

pub use asked::{Asked, Narrowed};
pub use reason::{Change, Clause, Flaw, Lack, Miss, Near, Operator, Short, Unknown, Unlocked, Verdict, Why};

use coverage::Cover;
use points::{encrypted, kept};
use question::{About, Question, Test, test};
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
            // Templates may have several clusters with one ARN: their members name them by their ids.
            for key in [resource.key(), resource.id()] {
                if members.contains_key(key) {
                    self.clusters.insert(key, resource);
                }
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
