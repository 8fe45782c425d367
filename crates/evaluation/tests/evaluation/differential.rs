//! The evaluator against the naive one over generated documents, and minimality of the proposed steps.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, Hasher};

use evaluation::inventory::document::{Document, LocationPart, Plan, Resource, ResourcePart, SelectionPart, Unread};
use evaluation::{ComplianceResult, ControlQuery, Evaluator, NonComplianceReason, RemediationStep, Subject};
use framework::control;

use super::generated::{Dice, KEYS, VALUES, any_document, any_parameters};
use super::naive;
use super::world::{self, COVERAGE, SERVICES, all, asked, inventory};

pub(crate) const CONTROLS: [&str; 11] = [
    COVERAGE,
    "BACKUP_PLAN_MIN_FREQUENCY_AND_MIN_RETENTION_CHECK",
    "BACKUP_RECOVERY_POINT_MANUAL_DELETION_DISABLED",
    "BACKUP_RECOVERY_POINT_ENCRYPTED",
    "BACKUP_RECOVERY_POINT_MINIMUM_RETENTION_CHECK",
    "BACKUP_RESOURCES_PROTECTED_BY_CROSS_REGION",
    "BACKUP_RESOURCES_PROTECTED_BY_CROSS_ACCOUNT",
    "BACKUP_RESOURCES_PROTECTED_BY_BACKUP_VAULT_LOCK",
    "BACKUP_LAST_RECOVERY_POINT_CREATED",
    "RESTORE_TIME_FOR_RESOURCES_MEET_TARGET",
    "RESOURCES_IN_LOGICALLY_AIR_GAPPED_VAULT",
];

/// Half of the seeds are equal in every run, half are new.
pub(crate) fn seeds(count: u64) -> impl Iterator<Item = u64> {
    let new = std::collections::hash_map::RandomState::new().build_hasher().finish();
    (0..count / 2).chain((0..count / 2).map(move |seed| new.wrapping_add(seed)))
}

pub(crate) fn key(subject: &Subject<'_>) -> String {
    match subject {
        Subject::Resource(resource) => resource.arn().to_owned(),
        Subject::Vault(vault) => naive::vault_key(vault),
        other => other.id().to_owned(),
    }
}

/// The sign of a result; `k` if the KMS key is why it is not compliant.
fn sign(result: &ComplianceResult<'_>) -> char {
    match result {
        ComplianceResult::NotCompliant(NonComplianceReason::AwsManagedKey) => 'k',
        other => world::sign(other),
    }
}

/// Results by query index and id.
fn judged(document: Document, asked: &[ControlQuery]) -> BTreeMap<(usize, String), char> {
    let inventory = inventory(&document);
    let mut signs = BTreeMap::new();
    Evaluator::new(&inventory, asked).each(|evaluation| {
        signs.insert((evaluation.query_index, key(&evaluation.subject)), sign(&evaluation.result));
    });
    signs
}

pub(crate) const SPREAD: u64 = 0x2545_f491_4f6c_dd1d;
const RESTORE: usize = 9;
const AIR_GAPPED: usize = 10;

/// Inputs that decide answers, by answer of the naive evaluator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Input {
    /// A resource with the duration of its latest restore.
    LatestRestore,
    /// A resource that is undecided because of a key of `ListOfTags` with the prefix of conditions.
    PrefixedKey,
    /// A resource that a selection without `Resources` and `ListOfTags` selects.
    EmptySelection,
    /// A resource that is stored into an air-gapped vault at once.
    AirGappedTarget,
}

const INPUTS: [Input; 4] = [Input::LatestRestore, Input::PrefixedKey, Input::EmptySelection, Input::AirGappedTarget];

fn inputs(
    document: &Document,
    plans: &naive::Plans<'_>,
    resource: &Resource,
    question: usize,
    sign: char,
) -> Vec<Input> {
    let it = naive::stands_for(document, resource);
    let [certain, possible] = plans.back_up(document, it);
    let selections = certain.iter().flat_map(|plan| &plan.selections);
    let mut empty = selections.filter(|own| own.resources.is_empty() && own.list_of_tags.is_empty());
    let is_stored = certain.iter().flat_map(|plan| &plan.rules).any(|rule| rule.target_air_gapped_vault.is_some());
    let found = [
        question == RESTORE && it.latest_restore_minutes.is_some() && sign != '?',
        question == 0 && certain != possible && it.engine.as_deref() != Some("ONTAP") && sign == '?',
        question == 0 && sign == '+' && empty.any(|own| naive::selected(document, it, own)),
        CONTROLS[question] == "BACKUP_RESOURCES_PROTECTED_BY_BACKUP_VAULT_LOCK" && sign == '+' && is_stored,
    ];
    INPUTS.into_iter().zip(found).filter_map(|(input, is_found)| is_found.then_some(input)).collect()
}

fn agree(seeds: impl Iterator<Item = u64>) -> (BTreeMap<(usize, char), u64>, BTreeMap<Input, u64>) {
    let (mut seen, mut decided_by) = (BTreeMap::new(), BTreeMap::new());
    for seed in seeds {
        let mut dice = Dice(seed.wrapping_mul(SPREAD));
        let document = any_document(&mut dice);
        let asked: Vec<ControlQuery> = CONTROLS
            .iter()
            .map(|name| {
                let mut asked = asked(name, &[]);
                asked.parameters = any_parameters(&mut dice, name);
                asked
            })
            .collect();
        let mut expected = BTreeMap::new();
        let plans = naive::Plans::of(&document);
        for (question, asked) in asked.iter().enumerate() {
            for (id, answer) in naive::answers(&document, &plans, asked.control.name, &asked.parameters) {
                let resource = document.resources.iter().find(|resource| resource.arn == id);
                let has_key = |it| question == AIR_GAPPED && naive::key_prevents_copies(&document, it);
                let sign = match answer {
                    Some(true) => '+',
                    Some(false) if resource.is_some_and(has_key) => 'k',
                    Some(false) => '-',
                    None => '?',
                };
                for input in resource.into_iter().flat_map(|it| inputs(&document, &plans, it, question, sign)) {
                    *decided_by.entry(input).or_insert(0) += 1;
                }
                *seen.entry((question, sign)).or_insert(0) += 1;
                expected.insert((question, id), sign);
            }
        }
        let found = judged(document, &asked);
        if found != expected {
            let differs = expected.iter().find(|(key, sign)| found.get(*key) != Some(sign));
            // The seed determines the document.
            let document = any_document(&mut Dice(seed.wrapping_mul(SPREAD)));
            panic!(
                "seed {seed}: expected {differs:?}, found {found:#?}\n{}",
                serde_json::to_string_pretty(&document).unwrap()
            );
        }
    }
    (seen, decided_by)
}

/// Four tests that run in parallel; 100,000 documents in total.
macro_rules! agreement {
    ($($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                let (seen, decided_by) = agree(seeds(25_000));
                assert!(seen[&(AIR_GAPPED, 'k')] > 500, "{seen:?}");
                for input in INPUTS {
                    assert!(decided_by.get(&input).is_some_and(|count| *count > 100), "{input:?}: {decided_by:?}");
                }
                for question in 0..CONTROLS.len() {
                    for sign in ['+', '-'] {
                        let count = seen.get(&(question, sign)).copied().unwrap_or(0);
                        assert!(count > 1_000, "{} answered {sign} only {count} times: {seen:?}", CONTROLS[question]);
                    }
                }
            }
        )*
    };
}

agreement! {
    both_evaluators_agree_on_the_first_part
    both_evaluators_agree_on_the_second_part
    both_evaluators_agree_on_the_third_part
    both_evaluators_agree_on_the_fourth_part
}

// --- minimal steps

/// Applies a step to the document.
#[derive(Debug, Clone, PartialEq)]
enum Step {
    Tag(&'static str, Option<String>),
    Arn(usize, usize),
    OptIn(usize, &'static str),
}

fn take(document: &mut Document, resource: usize, step: &Step) {
    match step {
        Step::Tag(key, Some(value)) => {
            document.resources[resource].tags.insert((*key).to_owned(), Some(value.clone()));
        }
        Step::Tag(key, None) => {
            document.resources[resource].tags.remove(*key);
        }
        Step::Arn(plan, selection) => {
            let arn = document.resources[resource].arn.clone();
            document.plans[*plan].selections[*selection].resources.push(arn);
        }
        Step::OptIn(location, service) => {
            document.locations[*location].opt_in.insert((*service).to_owned(), true);
        }
    }
}

fn step(document: &Document, change: &RemediationStep<'_>) -> Step {
    let key = |key: &str| *KEYS.iter().find(|known| **known == key).unwrap();
    let same = |one: &Plan, plan: &Plan| one.id == plan.id;
    match change {
        RemediationStep::SetTag { key: tag, value, .. } => Step::Tag(key(tag), Some(value.clone())),
        RemediationStep::RemoveTag { key: tag, .. } => Step::Tag(key(tag), None),
        RemediationStep::AddArn { plan, selection, .. } => {
            let number = document.plans.iter().position(|own| same(own, plan)).unwrap();
            let own = document.plans[number].selections.iter().position(|own| own == *selection).unwrap();
            Step::Arn(number, own)
        }
        RemediationStep::TurnOnAutomaticBackups => unreachable!("the keys have no tag of EFS"),
        RemediationStep::OptIn { account, region, service } => {
            let location = document
                .locations
                .iter()
                .position(|location| location.account == **account && location.region == **region);
            Step::OptIn(location.unwrap(), service)
        }
    }
}

/// Every possible single step. Values of tags are those that the conditions distinguish.
fn every_step(document: &Document, resource: usize) -> Vec<Step> {
    let it = &document.resources[resource];
    let mut steps = Vec::new();
    for key in KEYS {
        steps.push(Step::Tag(key, None));
        let more = ["", "X", "z", "xx", "xyx", "xz", "zx", "zy", "xzy", "yxy", "yy", "xxy"];
        steps.extend(VALUES.iter().chain(&more).map(|value| Step::Tag(key, Some((*value).to_owned()))));
    }
    for (plan, own) in document.plans.iter().enumerate() {
        for (number, selection) in own.selections.iter().enumerate() {
            // An ARN in an otherwise empty selection would exclude everything else.
            if !(selection.resources.is_empty() && selection.list_of_tags.is_empty()) {
                steps.push(Step::Arn(plan, number));
            }
        }
    }
    for (number, location) in document.locations.iter().enumerate() {
        if location.account.as_str() == it.account && location.region.as_str() == it.region {
            steps.extend(SERVICES.iter().map(|service| Step::OptIn(number, service)));
        }
    }
    steps
}

fn is_in(document: &Document, resource: usize) -> bool {
    let it = &document.resources[resource];
    document
        .plans
        .iter()
        .filter(|plan| plan.account.as_str() == it.account && plan.region.as_str() == it.region)
        .any(|plan| plan.selections.iter().any(|selection| naive::selected(document, it, selection)))
}

/// Reduces a document to the parts that a selection depends on, with the index of the resource.
fn around(document: &Document, resource: usize) -> (Document, usize) {
    let it = document.resources[resource].clone();
    let mut here = Document::new(document.as_of);
    let is_here = |account: &str, region: &str| account == it.account && region == it.region;
    here.locations.extend(
        document
            .locations
            .iter()
            .filter(|location| is_here(location.account.as_str(), location.region.as_str()))
            .cloned(),
    );
    here.plans
        .extend(document.plans.iter().filter(|plan| is_here(plan.account.as_str(), plan.region.as_str())).cloned());
    here.resources.push(it);
    (here, 0)
}

/// Returns whether this number of steps suffices.
fn can_be_brought_in(document: &Document, resource: usize, steps: &[Step], most: usize) -> bool {
    if is_in(document, resource) {
        return true;
    }
    most > 0
        && (0..steps.len()).any(|index| {
            let mut changed = document.clone();
            take(&mut changed, resource, &steps[index]);
            can_be_brought_in(&changed, resource, &steps[index + 1..], most - 1)
        })
}

#[test]
fn proposed_steps_select_and_are_minimal() {
    let asked = [asked(COVERAGE, &[])];
    let mut sizes: BTreeMap<usize, u64> = BTreeMap::new();
    for seed in seeds(8_000) {
        let mut dice = Dice(seed.wrapping_mul(0x9e6c_63d0_876a_3f35));
        let document = any_document(&mut dice);
        let inventory = inventory(&document);
        for evaluation in all(&Evaluator::new(&inventory, &asked)) {
            let ComplianceResult::NotCompliant(NonComplianceReason::NotSelected(not_selected)) = &evaluation.result
            else {
                continue;
            };
            let arn = not_selected.cluster.map_or_else(|| key(&evaluation.subject), str::to_owned);
            let resource = document.resources.iter().position(|it| it.arn == arn).unwrap();
            let size = not_selected.steps.len();
            let known = sizes.entry(size).or_default();
            *known += 1;
            let context = || {
                format!("seed {seed}, {arn}: {:?}\n{}", not_selected.steps, serde_json::to_string(&document).unwrap())
            };
            if size > 0 {
                let mut changed = document.clone();
                for change in &not_selected.steps {
                    take(&mut changed, resource, &step(&document, change));
                }
                assert!(is_in(&changed, resource), "the changes do not bring it in: {}", context());
            }
            // A sample of the pairs and triples.
            let (smaller, often) = match size {
                0 => (2, 60),
                1 => (0, u64::MAX),
                2 => (1, u64::MAX),
                _ => (2, 60),
            };
            if *known <= often {
                let (here, resource) = around(&document, resource);
                let steps = every_step(&here, resource);
                assert!(!can_be_brought_in(&here, resource, &steps, smaller), "fewer changes do: {}", context());
            }
        }
    }
    for size in 0..=3 {
        assert!(sizes.get(&size).is_some_and(|count| *count > 20), "{sizes:?}");
    }
}

// --- unread parts

/// Marks parts of a document as unread.
/// Long because each part of an inventory is removed in its own way.
fn forget(document: &mut Document, dice: &mut Dice) {
    for location in &mut document.locations {
        if dice.one_in(4) {
            let service = dice.pick(&SERVICES);
            location.opt_in.remove(service);
        }
        for part in [
            LocationPart::Plans,
            LocationPart::Selections,
            LocationPart::Vaults,
            LocationPart::VaultLocks,
            LocationPart::VaultPolicies,
            LocationPart::RecoveryPoints,
            LocationPart::Restores,
        ] {
            if dice.one_in(10) {
                location.unread.push(Unread { part, reason: String::new() });
            }
        }
    }
    for resource in &mut document.resources {
        match dice.below(4) {
            0 => {
                resource.unread.push(ResourcePart::Tags);
                resource.tags.retain(|_, _| dice.one_in(2));
            }
            1 => resource.tags.values_mut().for_each(|value| *value = None),
            _ => {}
        }
        if dice.one_in(6) {
            resource.engine = None;
        }
        if dice.one_in(6) {
            resource.aws_managed_key = None;
        }
    }
    for plan in &mut document.plans {
        for selection in &mut plan.selections {
            match dice.below(12) {
                0 => {
                    selection.unread.push(SelectionPart::Resources);
                    selection.resources.retain(|_| dice.one_in(2));
                }
                1 => {
                    selection.unread.push(SelectionPart::NotResources);
                    selection.not_resources.clear();
                }
                2 => {
                    selection.unread.push(SelectionPart::ListOfTags);
                    selection.list_of_tags.clear();
                }
                3 => {
                    selection.unread.push(SelectionPart::Conditions);
                    selection.conditions = Default::default();
                }
                4 => selection.unread.push(SelectionPart::Existence),
                _ => {}
            }
        }
    }
    // Removes items from lists that are unread.
    for location in document.locations.clone() {
        let unread = |part: LocationPart| location.unread.iter().any(|unread| unread.part == part);
        let here = |account: &framework::ids::AccountId, region: &framework::ids::RegionName| {
            *account == location.account && *region == location.region
        };
        if unread(LocationPart::Plans) {
            document.plans.retain(|plan| !here(&plan.account, &plan.region) || dice.one_in(2));
        }
        if unread(LocationPart::Selections) {
            for plan in document.plans.iter_mut().filter(|plan| here(&plan.account, &plan.region)) {
                plan.selections.retain(|_| dice.one_in(2));
            }
        }
        if unread(LocationPart::Vaults) {
            document.vaults.retain(|vault| !here(&vault.account, &vault.region) || dice.one_in(2));
        }
        for vault in document.vaults.iter_mut().filter(|vault| here(&vault.account, &vault.region)) {
            if unread(LocationPart::VaultPolicies) {
                vault.policy = None;
            }
            if unread(LocationPart::VaultLocks) {
                vault.lock = None;
            }
        }
        if unread(LocationPart::RecoveryPoints) {
            document.recovery_points.retain(|point| !here(&point.account, &point.region) || dice.one_in(2));
        }
        if unread(LocationPart::Restores) {
            let is_here = |resource: &&mut Resource| {
                resource.account == location.account.as_str() && resource.region == location.region.as_str()
            };
            for resource in document.resources.iter_mut().filter(is_here) {
                document.restores.retain(|restore| restore.resource != resource.arn || dice.one_in(2));
                resource.latest_restore_minutes = resource.latest_restore_minutes.filter(|_| dice.one_in(2));
            }
        }
    }
}

/// A document, and the same with unread parts.
fn forgotten(seed: u64) -> (Document, Document) {
    let mut dice = Dice(seed.wrapping_mul(0xd129_0f2d_7c54_a3b1));
    let whole = any_document(&mut dice);
    let mut less = whole.clone();
    forget(&mut less, &mut dice);
    (whole, less)
}

/// With unread parts, a result stays the same or becomes undecided.
#[test]
fn unread_facts_never_change_decided_results() {
    let asked: Vec<ControlQuery> = CONTROLS
        .iter()
        .map(|name| asked(name, if name.starts_with("RESTORE") { &[("maxRestoreTime", "60")] } else { &[] }))
        .collect();
    let (mut kept, mut undecided) = (0_u64, 0_u64);
    for seed in seeds(10_000) {
        let (whole, less) = forgotten(seed);
        let before = judged(whole, &asked);
        // The manager of a key changes the reason only.
        let plain = |sign: char| if sign == 'k' { '-' } else { sign };
        for (key, sign) in judged(less, &asked) {
            let Some(was) = before.get(&key) else { continue };
            match (plain(*was), plain(sign)) {
                ('+' | '-', '?') => undecided += 1,
                (was, current) if was == current => kept += 1,
                (was, current) => {
                    let (whole, less) = forgotten(seed);
                    panic!(
                        "seed {seed}: {key:?} was {was} and is {current}\n{}\n{}",
                        serde_json::to_string(&whole).unwrap(),
                        serde_json::to_string(&less).unwrap()
                    )
                }
            }
        }
    }
    assert!(kept > 5_000 && undecided > 5_000, "{kept} {undecided}");
}

#[test]
fn oracle_covers_every_catalog_control() {
    let sorted = |names: &mut dyn Iterator<Item = &'static str>| names.collect::<BTreeSet<_>>();
    assert_eq!(sorted(&mut CONTROLS.into_iter()), sorted(&mut control::CONTROLS.iter().map(|control| control.name)));
}
