use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use tokio::task::yield_now;

use framework::ids::UnitId;

use super::*;
use crate::error::with_kind_of_code;

const MANAGEMENT: &str = "000000000000";
const ROOT: &str = "r-root";

/// An organization that answers as AWS Organizations does, in pages of two.
#[derive(Default)]
struct Fake {
    /// Parent to child units.
    units: BTreeMap<String, Vec<String>>,
    /// Parent to accounts and their states.
    accounts: BTreeMap<String, Vec<(String, &'static str)>>,
    calls: Mutex<Vec<String>>,
    running: AtomicUsize,
    most: AtomicUsize,
    denied: Option<&'static str>,
}

impl Fake {
    fn unit(mut self, parent: &str, unit: &str, accounts: &[(u32, &'static str)]) -> Self {
        self.units.entry(parent.to_owned()).or_default().push(unit.to_owned());
        let accounts = accounts.iter().map(|(id, state)| (format!("{id:012}"), *state)).collect();
        self.accounts.insert(unit.to_owned(), accounts);
        self
    }

    fn take_calls(&self) -> Vec<String> {
        std::mem::take(&mut self.calls.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn exists(&self, unit: &str) -> bool {
        unit == ROOT || self.accounts.contains_key(unit)
    }

    fn answer(&self, operation: &'static str, body: &Value) -> Result<Value> {
        let parent = body.get("ParentId").and_then(Value::as_str).unwrap_or_default();
        if self.denied == Some(operation) {
            let error = PortError { code: Some("AccessDeniedException".into()), ..unexpected(operation, "no") };
            return Err(with_kind_of_code(error));
        }
        if matches!(operation, ACCOUNTS | UNITS) && !self.exists(parent) {
            let code = Some("ParentNotFoundException".into());
            return Err(with_kind_of_code(PortError { code, ..unexpected(operation, "no such parent") }));
        }
        let (name, items): (_, Vec<Value>) = match operation {
            DESCRIBE => return Ok(json!({"Organization": {"MasterAccountId": MANAGEMENT}})),
            ROOTS => ("Roots", vec![json!({"Id": ROOT})]),
            ACCOUNTS => {
                let all = self.accounts.get(parent).into_iter().flatten();
                ("Accounts", all.map(|(id, state)| json!({"Id": id, "State": state, "Status": "ACTIVE"})).collect())
            }
            UNITS => {
                let all = self.units.get(parent).into_iter().flatten();
                ("OrganizationalUnits", all.map(|id| json!({"Id": id})).collect())
            }
            other => panic!("{other} is not expected"),
        };
        let from: usize = body.get("NextToken").and_then(Value::as_str).map_or(0, |token| token.parse().unwrap());
        let page: Vec<_> = items.iter().skip(from).take(2).cloned().collect();
        let next = (from + 2 < items.len()).then(|| (from + 2).to_string());
        Ok(json!({ name: page, "NextToken": next }))
    }
}

impl OrganizationsApi for Fake {
    async fn call(&self, operation: &'static str, body: Value) -> Result<Value> {
        let running = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(running, Ordering::SeqCst);
        for _ in 0..3 {
            yield_now().await;
        }
        self.running.fetch_sub(1, Ordering::SeqCst);
        let call = body.get("ParentId").map_or(operation.to_owned(), |parent| format!("{operation} {parent}"));
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).push(call);
        self.answer(operation, &body)
    }
}

fn unit(text: &str) -> UnitId {
    UnitId::parse(text).unwrap()
}

fn accounts(ids: &[u32]) -> BTreeSet<AccountId> {
    ids.iter().map(|id| AccountId::parse(&format!("{id:012}")).unwrap()).collect()
}

fn company() -> Fake {
    Fake::default()
        .unit(ROOT, "ou-root-workload", &[(1, "ACTIVE"), (2, "ACTIVE"), (3, "SUSPENDED")])
        .unit("ou-root-workload", "ou-root-prod0000", &[(4, "ACTIVE"), (5, "PENDING_CLOSURE")])
        .unit("ou-root-prod0000", "ou-root-shops000", &[(6, "ACTIVE")])
        .unit("ou-root-workload", "ou-root-empty000", &[])
        .unit("ou-root-workload", "ou-root-test0000", &[(7, "CLOSED")])
        .unit(ROOT, "ou-root-others00", &[(8, "ACTIVE")])
}

#[tokio::test]
async fn unit_includes_child_units_read_once() {
    let company = company();
    let asked = [unit("ou-root-workload"), unit("ou-root-prod0000")].into();
    let found = membership(&company, &asked).await.unwrap();
    assert_eq!(
        found,
        Membership {
            root: Some(unit(ROOT)),
            management: Some(AccountId::parse(MANAGEMENT).unwrap()),
            units: BTreeMap::from([
                (unit("ou-root-workload"), accounts(&[1, 2, 3, 4, 5, 6, 7])),
                (unit("ou-root-prod0000"), accounts(&[4, 5, 6])),
            ]),
            inactive: accounts(&[3, 5, 7]),
        }
    );
    // The organization and its root; of each of five units its accounts and its units; a second page of three accounts, and of
    // three units.
    let calls = company.take_calls();
    assert_eq!(calls.len(), 2 + 5 * 2 + 2, "{calls:?}");
    assert!(!calls.iter().any(|call| call.contains("others")), "{calls:?}");
}

#[tokio::test]
async fn root_includes_all_accounts() {
    let found = membership(&company(), &[unit(ROOT)].into()).await.unwrap();
    assert_eq!(found.units.get(&unit(ROOT)), Some(&accounts(&[1, 2, 3, 4, 5, 6, 7, 8])));
}

#[tokio::test]
async fn missing_unit_is_omitted() {
    let asked = [unit("ou-root-nowhere0"), unit("ou-root-others00")].into();
    let found = membership(&company(), &asked).await.unwrap();
    assert_eq!(found.units, BTreeMap::from([(unit("ou-root-others00"), accounts(&[8]))]));
}

#[tokio::test]
async fn units_are_read_four_at_a_time() {
    let many = (0..40).fold(Fake::default(), |fake, n| fake.unit(ROOT, &format!("ou-root-{n:08}"), &[(n, "ACTIVE")]));
    let found = membership(&many, &[unit(ROOT)].into()).await.unwrap();
    assert_eq!(found.units.get(&unit(ROOT)).map(BTreeSet::len), Some(40));
    assert_eq!(many.most.load(Ordering::SeqCst), AT_ONCE);
}

#[tokio::test]
async fn empty_query_makes_no_call_and_denial_has_a_fix() {
    let off = OrganizationUnits::disabled();
    assert_eq!(off.membership(&BTreeSet::new()).await, Ok(Membership::default()));
    let error = off.membership(&[unit(ROOT)].into()).await.unwrap_err();
    assert!(error.with_fix().contains("`OrganizationalUnits` to `enabled`"), "{}", error.with_fix());
    for operation in [DESCRIBE, ROOTS, ACCOUNTS, UNITS] {
        let company = Fake { denied: Some(operation), ..company() };
        let error = membership(&company, &[unit(ROOT)].into()).await.unwrap_err();
        assert_eq!((error.operation, error.kind), (operation, PortErrorKind::Denied));
        assert!(error.with_fix().contains("management account"), "{}", error.with_fix());
    }
}

#[test]
fn partitions_have_their_own_endpoint() {
    for (region, host) in [
        ("eu-west-1", "organizations.us-east-1.amazonaws.com"),
        ("us-gov-east-1", "organizations.us-gov-west-1.amazonaws.com"),
        ("cn-north-1", "organizations.cn-northwest-1.amazonaws.com.cn"),
        ("eusc-de-east-1", "organizations.eusc-de-east-1.amazonaws.eu"),
    ] {
        let units = OrganizationUnits::new(None, None, region);
        assert_eq!(units.organizations.unwrap().address, format!("https://{host}/"));
    }
}

#[test]
fn closing_and_suspended_accounts_are_inactive() {
    assert!(is_active(&json!({"State": "ACTIVE", "Status": "SUSPENDED"})));
    assert!(is_active(&json!({"Status": "ACTIVE"})) && is_active(&json!({})));
    for state in ["PENDING_ACTIVATION", "SUSPENDED", "PENDING_CLOSURE", "CLOSED"] {
        assert!(!is_active(&json!({"State": state, "Status": "ACTIVE"})), "{state}");
    }
    assert!(!is_active(&json!({"Status": "PENDING_CLOSURE"})));
}
