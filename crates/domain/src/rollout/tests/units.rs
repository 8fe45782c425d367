//! StackSets with service-managed permissions: an organisation, what AWS makes of each operation in it, and what must hold whatever
//! the policy says and whatever happened before.

use super::{OWNER, days, overrides};
use crate::ids::{AccountId, RegionName, StackSetName, UnitId};
use crate::policy;
use crate::rollout::*;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The units, each with its parent: a root, a unit with a child unit, and two others.
const UNITS: [(&str, usize); 5] =
    [("r-aaaa", 0), ("ou-aaaa-10000000", 0), ("ou-aaaa-11000000", 1), ("ou-aaaa-20000000", 0), ("ou-aaaa-30000000", 0)];
const REGIONS: [&str; 2] = ["eu-west-1", "us-east-1"];
const ACCOUNTS: usize = 6;
/// Not in the organisation.
const OUTSIDE: usize = UNITS.len();

fn unit(index: usize) -> UnitId {
    UnitId::parse(UNITS[index].0).expect("a unit")
}

fn account(index: usize) -> AccountId {
    AccountId::parse(&format!("{:012}", 111_111_111_111 * (index + 1))).expect("12 digits")
}

fn region(index: usize) -> RegionName {
    RegionName::parse(REGIONS[index]).expect("a Region")
}

fn at(account: usize, region: usize) -> Instance {
    Instance { account: self::account(account), region: self::region(region) }
}

/// Who is where.
#[derive(Debug, Clone)]
struct Organization {
    /// The unit that each account is in itself.
    home: Vec<usize>,
    inactive: BTreeSet<usize>,
    management: Option<usize>,
    /// Units that were deleted; nobody is in them.
    deleted: BTreeSet<usize>,
}

impl Organization {
    fn contains(&self, unit: usize, account: usize) -> bool {
        let mut at = self.home[account];
        if at == OUTSIDE {
            return false;
        }
        while at != unit && at != 0 {
            at = UNITS[at].1;
        }
        at == unit
    }

    /// What `OrganizationalUnits` answers when it is asked for these.
    fn membership(&self, asked: &BTreeSet<UnitId>) -> Membership {
        let exists = |index: &usize| asked.contains(&unit(*index)) && !self.deleted.contains(index);
        let members = |index| (0..ACCOUNTS).filter(|one| self.contains(index, *one)).map(account).collect();
        Membership {
            root: Some(unit(0)),
            management: self.management.map(account),
            units: (0..UNITS.len()).filter(exists).map(|index| (unit(index), members(index))).collect(),
            inactive: self.inactive.iter().copied().map(account).collect(),
        }
    }

    fn all(&self) -> Membership {
        self.membership(&(0..UNITS.len()).map(unit).collect())
    }
}

/// What AWS does that no document says.
#[derive(Debug, Clone, Copy)]
struct Unknowns {
    /// `CreateStackInstances` gives its overrides to instances that are there already.
    create_touches_existing: bool,
    /// It makes a unit one for auto-deployment also where accounts of it are listed.
    listed_registers: bool,
}

/// StackSets, with overrides as they are in truth.
#[derive(Debug, Clone)]
struct Aws {
    organization: Organization,
    unknowns: Unknowns,
    now: Observed,
    /// In this attempt, every operation has come to all that it was to do.
    smooth: bool,
}

/// Which of the instances of an operation it comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    All,
    /// Those whose bit is set; it is stopped before it comes to the others.
    Some(u16),
}

impl Fate {
    fn reaches(self, instance: &Instance) -> bool {
        let Self::Some(bits) = self else { return true };
        let places = (0..ACCOUNTS).flat_map(|a| (0..REGIONS.len()).map(move |r| at(a, r)));
        let number = places.into_iter().position(|place| place == *instance).expect("an instance of this world");
        bits >> number & 1 == 1
    }
}

fn found(overrides: &Parameters, unit: &UnitId, reached: bool) -> ObservedInstance {
    ObservedInstance {
        status: if reached { InstanceStatus::Current } else { InstanceStatus::Outdated },
        detailed: if reached { DetailedStatus::Succeeded } else { DetailedStatus::Cancelled },
        reason: None,
        overrides: Some(Arc::new(if reached { overrides.clone() } else { Parameters::new() })),
        unit: Some(unit.clone()),
    }
}

impl Aws {
    fn is_active(&self, account: &AccountId) -> bool {
        self.organization.all().is_deployed_to(account)
    }

    fn members(&self, unit: &UnitId) -> BTreeSet<AccountId> {
        self.organization.all().units.get(unit).cloned().unwrap_or_default()
    }

    /// Does what StackSets does. What must never be asked of it is refused.
    fn run(&mut self, desired: &Desired, operation: &Operation, fate: Fate) -> Result<(), TestCaseError> {
        if let Some(through) = operation.places().map(|at| at.through.as_ref().expect("units are named")) {
            prop_assert!(self.organization.all().units.contains_key(&through.unit), "{:?} is no more", through);
        }
        match operation {
            Operation::ManagedExecution => {
                self.now.stack_set.as_mut().expect("there is one").managed_execution = true;
            }
            Operation::UpdateStackSet => self.update(desired, fate),
            Operation::DeleteInstances { at, retain } => self.delete(desired, at, *retain, fate)?,
            Operation::CreateInstances { at, overrides } => self.create(desired, at, overrides, fate)?,
            Operation::UpdateInstances { at, overrides } => {
                let Through { unit, filter } = at.through.as_ref().expect("units are named");
                prop_assert_eq!(filter, &Filter::Listed);
                prop_assert!(at.accounts.is_subset(&self.members(unit)), "{unit} has not all of {:?}", at.accounts);
                for instance in at.instances() {
                    is_wanted(desired, &instance, overrides)?;
                    let there = self.now.instances.get_mut(&instance).expect("it is there");
                    if fate.reaches(&instance) {
                        *there = found(overrides, unit, true);
                    } else {
                        (there.status, there.detailed) = (InstanceStatus::Outdated, DetailedStatus::Cancelled);
                    }
                }
            }
        }
        Ok(())
    }

    fn update(&mut self, desired: &Desired, fate: Fate) {
        let inactive: BTreeSet<AccountId> = self.organization.inactive.iter().copied().map(account).collect();
        let stack_set = self.now.stack_set.as_mut().expect("there is one");
        stack_set.owner = Some(OWNER.into());
        stack_set.definition = Some(desired.definition_digest());
        stack_set.auto_deployment = desired.permissions.service_managed().map(|service| service.auto_deployment);
        for (instance, there) in &mut self.now.instances {
            (there.status, there.detailed) = if inactive.contains(&instance.account) {
                (InstanceStatus::Outdated, DetailedStatus::SkippedSuspendedAccount)
            } else if fate.reaches(instance) {
                (InstanceStatus::Current, DetailedStatus::Succeeded)
            } else {
                (InstanceStatus::Outdated, DetailedStatus::Cancelled)
            };
        }
    }

    fn delete(&mut self, desired: &Desired, at: &Places, retain: bool, fate: Fate) -> Result<(), TestCaseError> {
        let Through { unit, filter } = at.through.as_ref().expect("units are named");
        let members = self.members(unit);
        // A whole unit is every instance of all accounts below it, whatever we meant.
        let chosen: BTreeSet<Instance> = match filter {
            Filter::Listed => at.instances().filter(|instance| members.contains(&instance.account)).collect(),
            Filter::Whole => {
                let all = self.now.instances.keys();
                all.filter(|one| members.contains(&one.account) && at.regions.contains(&one.region)).cloned().collect()
            }
            Filter::Except(_) => return Err(TestCaseError::fail("nothing is deleted so")),
        };
        let mut deleted = BTreeSet::new();
        for instance in chosen {
            prop_assert!(!desired.knows(&instance), "{instance} is wanted and deleted by {at:?}");
            prop_assert!(self.now.instances.contains_key(&instance), "{instance} is not there");
            if !retain && !self.is_active(&instance.account) {
                continue;
            }
            if fate.reaches(&instance) {
                self.now.instances.remove(&instance);
            } else if let Some(there) = self.now.instances.get_mut(&instance) {
                there.detailed = DetailedStatus::Cancelled;
            }
            deleted.insert(instance);
        }
        if *filter == Filter::Whole {
            let said: BTreeSet<Instance> = at.instances().collect();
            prop_assert!(said.is_subset(&deleted));
            prop_assert!(!self.smooth || said == deleted, "{deleted:?} is deleted, {said:?} was said");
            let regions = self.now.auto_targets.get_mut(unit).expect("it was one for auto-deployment");
            regions.retain(|region| !at.regions.contains(region));
            self.now.auto_targets.retain(|_, regions| !regions.is_empty());
        }
        Ok(())
    }

    fn create(
        &mut self,
        desired: &Desired,
        at: &Places,
        overrides: &Parameters,
        fate: Fate,
    ) -> Result<(), TestCaseError> {
        let Through { unit, filter } = at.through.as_ref().expect("units are named");
        let members = self.members(unit);
        let active = || members.iter().filter(|account| self.is_active(account));
        let chosen: BTreeSet<AccountId> = match filter {
            Filter::Listed => {
                prop_assert!(at.accounts.is_subset(&members), "{unit} has not all of {:?}", at.accounts);
                prop_assert!(at.accounts.iter().all(|account| self.is_active(account)));
                at.accounts.clone()
            }
            Filter::Whole => active().cloned().collect(),
            Filter::Except(out) => {
                prop_assert!(!out.is_empty() && out.is_subset(&members));
                active().filter(|account| !out.contains(*account)).cloned().collect()
            }
        };
        let mut created = BTreeSet::new();
        for instance in (Places { accounts: chosen, regions: at.regions.clone(), through: None }).instances() {
            is_wanted(desired, &instance, overrides)?;
            let reached = fate.reaches(&instance);
            match self.now.instances.get_mut(&instance) {
                None => {
                    created.insert(instance.clone());
                    self.now.instances.insert(instance, found(overrides, unit, reached));
                }
                Some(there) if self.unknowns.create_touches_existing && reached => {
                    there.overrides = Some(Arc::new(overrides.clone()));
                }
                Some(_) => {}
            }
        }
        prop_assert_eq!(created, at.instances().collect::<BTreeSet<_>>(), "what is created is what was said");
        if *filter != Filter::Listed || self.unknowns.listed_registers {
            self.now.auto_targets.entry(unit.clone()).or_default().extend(at.regions.iter().cloned());
        }
        Ok(())
    }

    /// Accounts move; StackSets deploys to those that have joined, without overrides, and removes from those that have left.
    fn reorganize(&mut self, organization: Organization) {
        self.organization = organization;
        let stack_set = self.now.stack_set.clone().unwrap_or_default();
        if !stack_set.auto_deployment.unwrap_or_default().enabled {
            return;
        }
        let all = self.organization.all();
        self.now.instances.retain(|instance, there| {
            let unit = there.unit.as_ref().expect("deployed through a unit");
            all.contains(unit, &instance.account) || !all.is_deployed_to(&instance.account)
        });
        for (unit, regions) in self.now.auto_targets.clone() {
            for account in all.accounts(&unit).filter(|account| all.is_deployed_to(account)) {
                for region in &regions {
                    let instance = Instance { account: account.clone(), region: region.clone() };
                    self.now.instances.entry(instance).or_insert_with(|| found(&Parameters::new(), &unit, true));
                }
            }
        }
    }

    /// As `ListStackInstances` tells it: without overrides.
    fn observe(&self) -> Observed {
        let mut seen = self.now.clone();
        for (instance, there) in &mut seen.instances {
            there.overrides = None;
            if self.organization.inactive.iter().any(|index| account(*index) == instance.account) {
                there.detailed = DetailedStatus::SkippedSuspendedAccount;
            }
        }
        seen
    }

    /// The membership that `deploy` asks for: the units of the policy, and those that StackSets still knows.
    fn membership(&self, desired: &Desired) -> Membership {
        let through = self.now.instances.values().filter_map(|there| there.unit.clone());
        let asked = desired.units().into_iter().chain(self.now.auto_targets.keys().cloned()).chain(through).collect();
        self.organization.membership(&asked)
    }
}

fn is_wanted(desired: &Desired, instance: &Instance, overrides: &Parameters) -> Result<(), TestCaseError> {
    let wanted = desired.instances.get(instance).map(|wanted| &*wanted.overrides);
    prop_assert_eq!(wanted, Some(overrides), "{} is not wanted so", instance);
    Ok(())
}

/// An attempt, as `deploy` makes it; the operations that it started and its verdict.
fn attempt(
    desired: &mut Desired,
    aws: &mut Aws,
    given: &mut Given,
    fates: Vec<Fate>,
) -> Result<(Vec<Operation>, Verdict), TestCaseError> {
    // What is in an account that has left the organisation stays where it is.
    let smooth = fates.iter().all(|fate| *fate == Fate::All) && !aws.organization.home.contains(&OUTSIDE);
    aws.smooth = smooth;
    let mut fates = fates.into_iter();
    let mut tried = BTreeSet::new();
    let mut done = Vec::new();
    let mut planned = None;
    for _ in 0..200 {
        let membership = aws.membership(desired);
        desired.place(&membership);
        let mut seen = aws.observe();
        given.doubt(&seen);
        given.complete(&mut seen);
        let context = Context { owner: OWNER, membership: &membership, tried: &tried };
        let planned = planned.get_or_insert_with(|| operations(desired, &seen, OWNER, &membership));
        match next_step(desired, &seen, context) {
            Step::CreateStackSet => {
                aws.now.stack_set = Some(ObservedStackSet {
                    managed_execution: true,
                    owner: Some(OWNER.into()),
                    definition: Some(desired.definition_digest()),
                    permissions: PermissionModel::ServiceManaged,
                    auto_deployment: desired.permissions.service_managed().map(|service| service.auto_deployment),
                    ..ObservedStackSet::default()
                });
            }
            Step::Start(operation) => {
                prop_assert!(tried.insert(operation.key()), "{operation:?} is tried again");
                aws.run(desired, &operation, fates.next().unwrap_or(Fate::All))?;
                // It is remembered between two looks, and nothing of it is lost there.
                given.note(&operation);
                let stored = serde_json::to_string(given).expect("serialises");
                prop_assert_eq!(&serde_json::from_str::<Given>(&stored).expect("is read"), &*given);
                done.push(operation);
            }
            Step::Finished(verdict) => {
                prop_assert!(!smooth || done == *planned, "planned: {planned:#?}, done: {done:#?}");
                return Ok((done, verdict));
            }
            other => prop_assert!(false, "{other:?} is no step of a rollout"),
        }
    }
    Err(TestCaseError::fail("it does not end"))
}

/// The fleet is as the policy wants it, and the verdict says of each instance what is so.
fn assert_converged(desired: &Desired, aws: &Aws, verdict: &Verdict) -> Result<(), TestCaseError> {
    for (instance, wanted) in &desired.instances {
        let there = aws.now.instances.get(instance);
        prop_assert!(there.is_some(), "{instance} is wanted and missing");
        let there = there.expect("it is there");
        prop_assert_eq!(&there.status, &InstanceStatus::Current, "{}", instance);
        prop_assert_eq!(there.overrides.as_ref(), Some(&wanted.overrides), "{}", instance);
    }
    // What is left over is what no operation can name: its account has left the organisation.
    let members = aws.members(&unit(0));
    let left: BTreeSet<&Instance> = aws.now.instances.keys().filter(|instance| !desired.knows(instance)).collect();
    for instance in &left {
        prop_assert!(!members.contains(&instance.account), "{instance} is not wanted");
    }
    prop_assert_eq!(verdict.faults.iter().map(|fault| &fault.instance).collect::<BTreeSet<_>>(), left);
    prop_assert!(verdict.faults.iter().all(|fault| fault.outcome == Outcome::NotDeleted));
    prop_assert!(verdict.skipped.iter().map(|fault| &fault.instance).eq(desired.skipped.keys()));
    let (instances, skipped) = (desired.instances.len(), desired.skipped.len());
    prop_assert_eq!((verdict.total, verdict.succeeded), (instances + skipped, instances));

    // New accounts of the units are deployed to, those of units that have left the policy no longer.
    let service = desired.permissions.service_managed().expect("units");
    let all = aws.organization.all();
    let registered = &aws.now.auto_targets;
    for target in &service.targets {
        let whole = service.auto_deployment.enabled && !matches!(target.accounts, AccountFilter::Only(_));
        for unit in target.units.iter().filter(|_| whole) {
            let regions = registered.get(unit);
            prop_assert!(regions.is_some_and(|regions| target.regions.is_subset(regions)), "{unit}: {regions:?}");
        }
    }
    for (unit, regions) in registered.iter().filter(|(unit, _)| all.units.contains_key(*unit)) {
        for region in regions {
            let named = service.targets.iter().any(|one| one.units.contains(unit) && one.regions.contains(region));
            let known =
                |account: &AccountId| desired.knows(&Instance { account: account.clone(), region: region.clone() });
            let through = |(instance, there): (&Instance, &ObservedInstance)| {
                there.unit.as_ref() == Some(unit) && instance.region == *region
            };
            let needed = all.accounts(unit).any(known) || aws.now.instances.iter().any(through);
            prop_assert!(named || needed, "{unit} in {region} is still registered");
        }
    }
    Ok(())
}

fn desired(service: ServiceManaged, template: u8) -> Desired {
    Desired {
        name: StackSetName::parse("backup-compliance").expect("a name"),
        template: format!("Resources: {{}} # {template}"),
        capabilities: vec![],
        parameters: Parameters::new(),
        permissions: Permissions::ServiceManaged(service),
        adopt: false,
        instances: BTreeMap::new(),
        skipped: BTreeMap::new(),
        rollout: policy::Rollout::default(),
    }
}

fn target(units: &[usize], accounts: AccountFilter, regions: &[usize], overrides: Parameters) -> UnitTarget {
    UnitTarget {
        units: units.iter().copied().map(unit).collect(),
        accounts,
        regions: regions.iter().copied().map(region).collect(),
        overrides,
    }
}

fn service(enabled: bool, targets: Vec<UnitTarget>) -> ServiceManaged {
    let auto_deployment = AutoDeployment { enabled, retain_stacks: false };
    ServiceManaged { call_as: CallAs::Own, auto_deployment, targets }
}

fn some_of(most: usize, least: usize) -> impl Strategy<Value = Vec<usize>> {
    prop::sample::subsequence((0..most).collect::<Vec<_>>(), least..=most)
}

fn filters() -> impl Strategy<Value = AccountFilter> {
    let listed = || some_of(ACCOUNTS, 1).prop_map(|accounts| accounts.into_iter().map(account).collect());
    prop_oneof![
        3 => Just(AccountFilter::All),
        1 => listed().prop_map(AccountFilter::Only),
        1 => listed().prop_map(AccountFilter::Except),
    ]
}

fn policies() -> impl Strategy<Value = (ServiceManaged, u8)> {
    let units = prop::sample::subsequence((0..UNITS.len()).collect::<Vec<_>>(), 1..=2);
    let target = (units, filters(), some_of(REGIONS.len(), 1), overrides())
        .prop_map(|(units, accounts, regions, overrides)| target(&units, accounts, &regions, overrides));
    (prop::collection::vec(target, 1..=3), prop::bool::weighted(0.7), 0u8..2)
        .prop_map(|(targets, enabled, template)| (service(enabled, targets), template))
}

fn organizations() -> impl Strategy<Value = Organization> {
    let home = prop::collection::vec(prop_oneof![12 => 0..UNITS.len(), 1 => Just(OUTSIDE)], ACCOUNTS);
    let inactive = prop::collection::btree_set(0..ACCOUNTS, 0..=1);
    (home, inactive, prop::option::weighted(0.4, 0..ACCOUNTS)).prop_map(|(home, inactive, management)| Organization {
        home,
        inactive,
        management,
        deleted: BTreeSet::new(),
    })
}

fn worlds() -> impl Strategy<Value = Aws> {
    (organizations(), any::<[bool; 2]>()).prop_map(|(organization, [create_touches_existing, listed_registers])| Aws {
        organization,
        unknowns: Unknowns { create_touches_existing, listed_registers },
        now: Observed::default(),
        smooth: true,
    })
}

/// What happens between two rollouts.
#[derive(Debug, Clone)]
enum Event {
    Push(ServiceManaged, u8),
    Reorganize(Organization),
    /// A look at all instances, at which nothing has changed.
    Look,
}

fn events() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => policies().prop_map(|(service, template)| Event::Push(service, template)),
        3 => organizations().prop_map(Event::Reorganize),
        1 => Just(Event::Look),
    ]
}

fn fates() -> impl Strategy<Value = Vec<Fate>> {
    prop::collection::vec(prop_oneof![2 => Just(Fate::All), 1 => any::<u16>().prop_map(Fate::Some)], 0..=3)
}

/// The management account stays what it is, and never has instances.
fn after(organization: Organization, before: &Organization) -> Organization {
    Organization { management: before.management, ..organization }
}

proptest! {
    /// Pushes, moves of accounts, and operations that are stopped halfway: whatever has happened, one attempt in which every
    /// operation succeeds brings the fleet to what is wanted; and at no time is anything deleted that the policy wants.
    #[test]
    fn every_story_ends_with_the_fleet_as_wanted(
        mut aws in worlds(),
        (service, template) in policies(),
        story in prop::collection::vec((events(), fates()), 1..=5),
    ) {
        let mut given = Given::all_known();
        let mut desired = desired(service, template);
        for (event, fates) in std::iter::once((Event::Look, Vec::new())).chain(story) {
            match event {
                Event::Push(service, template) => desired = self::desired(service, template),
                Event::Reorganize(organization) => aws.reorganize(after(organization, &aws.organization)),
                Event::Look => {}
            }
            attempt(&mut desired, &mut aws, &mut given, fates)?;
            // The story goes on from what is half done; beside that, it is brought to an end here.
            let (mut desired, mut aws, mut given) = (desired.clone(), aws.clone(), given.clone());
            let (_, verdict) = attempt(&mut desired, &mut aws, &mut given, Vec::new())?;
            assert_converged(&desired, &aws, &verdict)?;
            let (again, verdict) = attempt(&mut desired, &mut aws, &mut given, Vec::new())?;
            let hopeless = |one: &Operation| matches!(one, Operation::DeleteInstances { .. }) && !verdict.is_success();
            prop_assert!(again.iter().all(hopeless), "what is as wanted is left alone: {again:?}");
        }
    }

    /// A StackSet that others have worked on: nobody knows what it gave to whom.
    #[test]
    fn an_adopted_stack_set_is_brought_to_what_is_wanted(
        mut aws in worlds(),
        (theirs, _) in policies(),
        (ours, template) in policies(),
        fates in fates(),
    ) {
        attempt(&mut desired(theirs, 9), &mut aws, &mut Given::all_known(), Vec::new())?;
        let stack_set = aws.now.stack_set.as_mut().expect("there is one");
        (stack_set.owner, stack_set.definition, stack_set.managed_execution) = (None, None, false);
        let mut desired = desired(ours, template);
        desired.adopt = true;
        let mut given = Given::default();
        attempt(&mut desired, &mut aws, &mut given, fates)?;
        let (_, verdict) = attempt(&mut desired, &mut aws, &mut given, Vec::new())?;
        assert_converged(&desired, &aws, &verdict)?;
        let stack_set = aws.now.stack_set.clone().expect("there is one");
        prop_assert_eq!((stack_set.owner.as_deref(), stack_set.managed_execution), (Some(OWNER), true));
        let (again, _) = attempt(&mut desired, &mut aws, &mut given, Vec::new())?;
        prop_assert!(again.iter().all(|one| matches!(one, Operation::DeleteInstances { .. })), "set once: {again:?}");
    }

    /// Removal deletes everything that can be reached and lets go of the rest, whole units or not.
    #[test]
    fn every_stack_set_can_be_removed(
        mut aws in worlds(),
        (service, template) in policies(),
        moved in organizations(),
    ) {
        attempt(&mut desired(service, template), &mut aws, &mut Given::all_known(), Vec::new())?;
        aws.reorganize(after(moved, &aws.organization));
        let nothing = desired(ServiceManaged::default(), 0);
        let mut tried = BTreeSet::new();
        loop {
            let membership = aws.membership(&nothing);
            let context = Context { owner: OWNER, membership: &membership, tried: &tried };
            match next_removal_step(&aws.observe(), context) {
                Step::Start(operation) => {
                    prop_assert!(tried.insert(operation.key()), "{operation:?} is tried again");
                    aws.run(&nothing, &operation, Fate::All)?;
                }
                Step::DeleteStackSet => {
                    prop_assert!(aws.now.instances.is_empty());
                    return Ok(());
                }
                Step::Finished(verdict) => {
                    let members = aws.members(&unit(0));
                    prop_assert!(!verdict.is_success());
                    prop_assert!(verdict.faults.iter().all(|fault| !members.contains(&fault.instance.account)));
                    return Ok(());
                }
                other => prop_assert!(false, "{other:?} is no step of a removal"),
            }
        }
    }

    /// Each account of the units is an instance or skipped in each Region, never both, and belongs to the first target that has it.
    #[test]
    fn every_account_of_the_units_has_its_place(organization in organizations(), (service, _) in policies()) {
        let mut placed = desired(service.clone(), 0);
        let membership = organization.membership(&placed.units());
        placed.place(&membership);
        for (one, r) in (0..ACCOUNTS).flat_map(|one| (0..REGIONS.len()).map(move |r| (one, r))) {
            let instance = at(one, r);
            let owner = service.targets.iter().find(|target| {
                target.regions.contains(&instance.region)
                    && target.accounts.admits(&instance.account)
                    && target.units.iter().any(|unit| membership.contains(unit, &instance.account))
            });
            let skip = if organization.management == Some(one) {
                Some(SkipReason::ManagementAccount)
            } else {
                organization.inactive.contains(&one).then_some(SkipReason::Suspended)
            };
            prop_assert_eq!(placed.skipped.get(&instance), owner.and(skip.as_ref()));
            let wanted = placed.instances.get(&instance);
            prop_assert_eq!(wanted.is_some(), owner.is_some() && skip.is_none());
            if let (Some(owner), Some(wanted)) = (owner, wanted) {
                prop_assert_eq!(&*wanted.overrides, &owner.overrides);
                let unit = wanted.unit.as_ref().expect("it is reached through one");
                prop_assert!(owner.units.contains(unit) && membership.contains(unit, &instance.account));
            }
            prop_assert_eq!(placed.knows(&instance), owner.is_some());
        }
    }
}

/// Accounts 1 and 2 in a unit, 3 in its child unit, 4 and 5 in another, 6 directly below the root.
fn organization() -> Organization {
    Organization { home: vec![1, 1, 2, 3, 3, 0], inactive: BTreeSet::new(), management: None, deleted: BTreeSet::new() }
}

fn aws(organization: Organization) -> Aws {
    let unknowns = Unknowns { create_touches_existing: false, listed_registers: false };
    Aws { organization, unknowns, now: Observed::default(), smooth: true }
}

/// What is done in a few words: call, unit, filter, accounts, Regions.
fn told(operations: &[Operation]) -> Vec<String> {
    let name = |of: &UnitId| UNITS.iter().position(|(id, _)| *id == of.as_str()).expect("a unit of this world");
    let list = |accounts: &BTreeSet<AccountId>| -> String {
        (0..ACCOUNTS).filter(|one| accounts.contains(&account(*one))).map(|one| (one + 1).to_string()).collect()
    };
    let tell = |operation: &Operation| {
        let Some(at) = operation.places() else { return operation.api().to_owned() };
        let Through { unit, filter } = at.through.as_ref().expect("units");
        let how = match filter {
            Filter::Whole => "whole".to_owned(),
            Filter::Listed => "listed".to_owned(),
            Filter::Except(out) => format!("except {}", list(out)),
        };
        let retained = matches!(operation, Operation::DeleteInstances { retain: true, .. });
        let retained = if retained { " retained" } else { "" };
        let verb = operation.api().replace("StackInstances", "");
        format!("{verb} {} {how}: {} x {}{retained}", name(unit), list(&at.accounts), at.regions.len())
    };
    operations.iter().map(tell).collect()
}

fn rolled_out(aws: &mut Aws, given: &mut Given, service: ServiceManaged) -> Vec<String> {
    let mut desired = desired(service, 0);
    let (done, verdict) = attempt(&mut desired, aws, given, Vec::new()).expect("nothing is wrong");
    assert_converged(&desired, aws, &verdict).expect("as wanted");
    told(&done)
}

const NOTHING: [&str; 0] = [];

#[test]
fn a_unit_is_named_as_a_whole_once_and_accounts_that_join_get_their_overrides() {
    let (mut aws, mut given) = (aws(organization()), Given::all_known());
    let policy = |regions: &[usize]| service(true, vec![target(&[1], AccountFilter::All, regions, days("90"))]);
    assert_eq!(rolled_out(&mut aws, &mut given, policy(&[0, 1])), ["Create 1 whole: 123 x 2"]);
    assert_eq!(rolled_out(&mut aws, &mut given, policy(&[0, 1])), NOTHING);
    // Account 6 joins, 2 leaves: StackSets itself does everything but the overrides.
    aws.reorganize(Organization { home: vec![1, 0, 2, 3, 3, 1], ..organization() });
    assert_eq!(rolled_out(&mut aws, &mut given, policy(&[0, 1])), ["Update 1 listed: 6 x 2"]);
    // A Region is a place for auto-deployment of its own.
    assert_eq!(rolled_out(&mut aws, &mut given, policy(&[0])), ["Delete 1 whole: 136 x 1"]);
    assert_eq!(rolled_out(&mut aws, &mut given, policy(&[0, 1])), ["Create 1 whole: 136 x 1"]);
}

#[test]
fn an_empty_unit_is_named_too_and_a_unit_that_leaves_is_deleted_as_a_whole() {
    let (mut aws, mut given) = (aws(organization()), Given::all_known());
    let policy = |units: &[usize]| service(true, vec![target(units, AccountFilter::All, &[0], days("90"))]);
    assert_eq!(rolled_out(&mut aws, &mut given, policy(&[3, 4])), ["Create 3 whole: 45 x 1", "Create 4 whole:  x 1"]);
    assert_eq!(rolled_out(&mut aws, &mut given, policy(&[4])), ["Delete 3 whole: 45 x 1"]);
    assert_eq!(rolled_out(&mut aws, &mut given, policy(&[3])), ["Delete 4 whole:  x 1", "Create 3 whole: 45 x 1"]);
}

/// Deleting the parent as a whole would delete what is wanted in the child unit, too.
#[test]
fn a_unit_is_not_deleted_as_a_whole_over_the_head_of_its_child() {
    let (mut aws, mut given) = (aws(organization()), Given::all_known());
    let policy = |units: &[usize]| service(true, vec![target(units, AccountFilter::All, &[0], Parameters::new())]);
    rolled_out(&mut aws, &mut given, policy(&[1]));
    assert_eq!(rolled_out(&mut aws, &mut given, policy(&[2])), ["Delete 1 listed: 12 x 1", "Create 2 whole:  x 1"]);
    // Nothing of the parent is wanted any more: now it goes.
    assert_eq!(
        rolled_out(&mut aws, &mut given, policy(&[3])),
        ["Delete 1 whole: 3 x 1", "Delete 2 whole:  x 1", "Create 3 whole: 45 x 1"]
    );
}

/// Naming the parent as a whole would give its overrides to the accounts of the child.
#[test]
fn a_unit_is_not_named_as_a_whole_over_the_head_of_its_child() {
    let (mut aws, mut given) = (aws(organization()), Given::all_known());
    let child = target(&[2], AccountFilter::All, &[0], days("90"));
    let policy = service(true, vec![child, target(&[1], AccountFilter::All, &[0], days("35"))]);
    assert_eq!(rolled_out(&mut aws, &mut given, policy), ["Create 2 whole: 3 x 1", "Create 1 except 3: 12 x 1"]);
}

/// One target has the whole unit but an account, another that account: it is created once, and as the other says.
#[test]
fn two_targets_share_a_unit() {
    let (mut aws, mut given) = (aws(organization()), Given::all_known());
    let most = target(&[1], AccountFilter::Except([account(1)].into()), &[0], days("35"));
    let one = target(&[1], AccountFilter::Only([account(1)].into()), &[0], days("90"));
    let policy = service(true, vec![most, one]);
    assert_eq!(rolled_out(&mut aws, &mut given, policy), ["Create 1 except 2: 13 x 1", "Create 1 listed: 2 x 1"]);
}

#[test]
fn accounts_that_are_left_out_stay_out_of_the_whole() {
    let (mut aws, mut given) = (aws(organization()), Given::all_known());
    // The last is in no unit of the target: AWS need not hear of it.
    let out = AccountFilter::Except([1, 2, 4].map(account).into());
    let policy = || service(true, vec![target(&[1], out.clone(), &[0, 1], Parameters::new())]);
    assert_eq!(rolled_out(&mut aws, &mut given, policy()), ["Create 1 except 23: 1 x 2"]);
    // Auto-deployment knows no filters: what it does to an account that is left out is undone.
    aws.reorganize(Organization { home: vec![1, 1, 2, 3, 1, 0], ..organization() });
    assert_eq!(rolled_out(&mut aws, &mut given, policy()), ["Delete 1 listed: 235 x 2"]);
}

#[test]
fn without_auto_deployment_and_with_listed_accounts_accounts_are_named() {
    let (mut aws, mut given) = (aws(organization()), Given::all_known());
    let all = service(false, vec![target(&[1], AccountFilter::All, &[0], Parameters::new())]);
    assert_eq!(rolled_out(&mut aws, &mut given, all), ["Create 1 listed: 123 x 1"]);
    let only = AccountFilter::Only([0, 3].map(account).into());
    let some = service(true, vec![target(&[1, 3], only, &[0], Parameters::new())]);
    assert_eq!(
        rolled_out(&mut aws, &mut given, some),
        ["Delete 1 listed: 23 x 1", "UpdateStackSet", "Create 3 listed: 4 x 1"]
    );
}

#[test]
fn suspended_and_management_accounts_are_skipped_and_let_go() {
    let mut aws = aws(Organization { management: Some(1), ..organization() });
    let mut given = Given::all_known();
    let policy = |units: &[usize]| service(true, vec![target(units, AccountFilter::All, &[0], Parameters::new())]);
    assert_eq!(rolled_out(&mut aws, &mut given, policy(&[1])), ["Create 1 whole: 13 x 1"]);
    aws.reorganize(Organization { inactive: [2].into(), management: Some(1), ..organization() });
    assert_eq!(rolled_out(&mut aws, &mut given, policy(&[1])), NOTHING);
    assert_eq!(
        rolled_out(&mut aws, &mut given, policy(&[3])),
        ["Delete 1 listed: 3 x 1 retained", "Delete 1 whole: 1 x 1", "Create 3 whole: 45 x 1"]
    );
}

/// No call may name a unit that is no more; what was deployed through it is reached through the root.
#[test]
fn a_unit_that_was_deleted_is_named_by_no_call() {
    let (mut aws, mut given) = (aws(organization()), Given::all_known());
    let policy = |units: &[usize]| service(false, vec![target(units, AccountFilter::All, &[0], Parameters::new())]);
    rolled_out(&mut aws, &mut given, policy(&[3, 4]));
    aws.now.auto_targets.insert(unit(3), [region(0)].into());
    aws.organization = Organization { home: vec![1, 1, 2, 0, 0, 0], deleted: [3].into(), ..organization() };
    assert_eq!(rolled_out(&mut aws, &mut given, policy(&[4])), ["Delete 0 listed: 45 x 1"]);
}

/// Digests tell pushes apart, not organisations: who is in a unit is no part of what the policy says.
#[test]
fn the_digest_is_about_the_policy_and_not_about_who_is_in_its_units() {
    let policy = service(true, vec![target(&[1], AccountFilter::All, &[0], days("90"))]);
    let unplaced = desired(policy.clone(), 0);
    let mut placed = unplaced.clone();
    placed.place(&organization().all());
    assert_eq!((placed.digest(), placed.definition_digest()), (unplaced.digest(), unplaced.definition_digest()));
    assert_eq!(placed.units(), [unit(1)].into());
    let changes: [fn(&mut ServiceManaged); 6] = [
        |service| service.call_as = CallAs::DelegatedAdministrator,
        |service| service.targets[0].accounts = AccountFilter::Except([account(1)].into()),
        |service| service.targets[0].accounts = AccountFilter::Only([account(1)].into()),
        |service| service.targets[0].units = [unit(3)].into(),
        |service| service.targets[0].regions = [region(1)].into(),
        |service| service.targets[0].overrides = days("91"),
    ];
    let mut digests = BTreeSet::from([unplaced.digest()]);
    for change in changes {
        let mut changed = policy.clone();
        change(&mut changed);
        let changed = desired(changed, 0);
        assert!(digests.insert(changed.digest()));
        assert_eq!(changed.definition_digest(), unplaced.definition_digest(), "the StackSet itself stays as it is");
    }
    let mut manual = policy;
    manual.auto_deployment.enabled = false;
    assert_ne!(desired(manual, 0).definition_digest(), unplaced.definition_digest(), "`UpdateStackSet` has to say it");
}
