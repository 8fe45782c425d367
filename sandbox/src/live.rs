//! AWS Backup, the recorders of AWS Config, and lists of FSx, Storage Gateway and Backup gateway as member accounts see them: whoever has
//! assumed a role there reads what a test or a person has put there. Reading only.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::gateway::Call;
use crate::http::{Request, Response};
use crate::wire::{self, Form};

/// The switches that are on where nobody said otherwise.
const SWITCHES: [&str; 14] = [
    "Aurora",
    "DocumentDB",
    "DynamoDB",
    "EBS",
    "EC2",
    "EFS",
    "FSx",
    "Neptune",
    "RDS",
    "Redshift",
    "S3",
    "Storage Gateway",
    "Timestream",
    "VirtualMachine",
];

/// What there is in an account and Region, in the shapes of the APIs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Place {
    /// `ResourceTypeOptInPreference`; every service where it is left out.
    pub opt_in: BTreeMap<String, bool>,
    /// The `recordingGroup` of the recorder; `null`: there is no recorder.
    pub recording_group: Option<Value>,
    /// Whether the recorder is on.
    pub recording: bool,
    /// Plans: `BackupPlanId`, `BackupPlan`, `Tags`, and `Selections` with `SelectionId` and `BackupSelection`.
    pub plans: Vec<Value>,
    /// Vaults as `DescribeBackupVault` has them, with `Policy`, `Tags` and `RecoveryPoints`.
    pub vaults: Vec<Value>,
    /// Whether the list of vaults tells of locks.
    pub lists_locks: bool,
    /// Restore jobs.
    pub restore_jobs: Vec<Value>,
    /// `FileSystems` of FSx.
    pub file_systems: Vec<Value>,
    /// `VolumeInfos` of Storage Gateway, with `Tags`.
    pub volumes: Vec<Value>,
    /// `VirtualMachines` of Backup gateway, with `Tags`.
    pub virtual_machines: Vec<Value>,
}

impl Default for Place {
    fn default() -> Self {
        Self {
            opt_in: SWITCHES.iter().map(|name| ((*name).to_owned(), true)).collect(),
            recording_group: Some(
                json!({"allSupported": true, "recordingStrategy": {"useOnly": "ALL_SUPPORTED_RESOURCE_TYPES"}}),
            ),
            recording: true,
            plans: Vec::new(),
            vaults: Vec::new(),
            lists_locks: true,
            restore_jobs: Vec::new(),
            file_systems: Vec::new(),
            volumes: Vec::new(),
            virtual_machines: Vec::new(),
        }
    }
}

/// Account and Region.
type Key = (String, String);

#[derive(Debug, Default)]
struct State {
    places: BTreeMap<Key, Place>,
    off: BTreeSet<Key>,
    /// The most that a page has, whatever is asked for.
    page: Option<usize>,
}

/// AWS Backup in the member accounts.
#[derive(Debug, Default)]
pub struct Live {
    state: Mutex<State>,
}

type Answer = Result<Value, (u16, &'static str, String)>;

impl Live {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts this in an account and Region, in place of what was there.
    pub fn put(&self, account: &str, region: &str, place: Place) {
        self.state().places.insert((account.to_owned(), region.to_owned()), place);
    }

    pub(crate) fn put_json(&self, form: &Form, body: &Value) -> Result<()> {
        let (account, region) =
            form.get("account").zip(form.get("region")).context("account and region are missing")?;
        let place = serde_json::from_value(body.clone()).context("see `Place` in sandbox/src/live.rs")?;
        self.put(account, region, place);
        Ok(())
    }

    /// Whether a Region is enabled in an account, as all are at first.
    pub fn enable(&self, account: &str, region: &str, enabled: bool) {
        let place = (account.to_owned(), region.to_owned());
        let mut state = self.state();
        if enabled {
            state.off.remove(&place);
        } else {
            state.off.insert(place);
        }
    }

    /// Whether pages have this many items, whatever is asked for.
    pub fn short_pages(&self, items: Option<usize>) {
        self.state().page = items;
    }

    /// The operation of a REST request to AWS Backup.
    pub(crate) fn operation(method: &str, path: &str) -> Option<&'static str> {
        if method != "GET" {
            return None;
        }
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        Some(match parts.as_slice() {
            ["account-settings"] => "DescribeRegionSettings",
            ["backup", "plans"] => "ListBackupPlans",
            ["backup", "plans", _] => "GetBackupPlan",
            ["backup", "plans", _, "selections"] => "ListBackupSelections",
            ["backup", "plans", _, "selections", _] => "GetBackupSelection",
            ["backup-vaults"] => "ListBackupVaults",
            ["backup-vaults", _] => "DescribeBackupVault",
            ["backup-vaults", _, "access-policy"] => "GetBackupVaultAccessPolicy",
            ["backup-vaults", _, "recovery-points"] => "ListRecoveryPointsByBackupVault",
            ["restore-jobs"] => "ListRestoreJobs",
            ["tags", _] => "ListTags",
            _ => return None,
        })
    }

    /// Whether a request of somebody who has assumed a role is answered here.
    pub(crate) fn knows(call: &Call) -> bool {
        match call.service.as_str() {
            "backup" => !call.operation.contains(' ') && !call.operation.contains("Framework"),
            "config" => matches!(
                call.operation.as_str(),
                "DescribeConfigurationRecorders" | "DescribeConfigurationRecorderStatus"
            ),
            "fsx" | "storagegateway" | "backup-gateway" => true,
            _ => false,
        }
    }

    pub(crate) fn answer(&self, call: &Call, account: &str, request: &Request) -> Response {
        let state = self.state();
        let key = (account.to_owned(), call.region.clone());
        let answer = if state.off.contains(&key) {
            Err((
                403,
                "UnrecognizedClientException",
                "The security token included in the request is invalid.".to_owned(),
            ))
        } else {
            let empty = Place::default();
            let place = state.places.get(&key).unwrap_or(&empty);
            let asking = Asking { place, account, region: &call.region, request, page: state.page };
            asking.answer(call)
        };
        match answer {
            Ok(answer) => wire::json_response(&answer),
            Err((status, code, message)) => wire::json_error(status, code, &message),
        }
    }
}

struct Asking<'a> {
    place: &'a Place,
    account: &'a str,
    region: &'a str,
    request: &'a Request,
    page: Option<usize>,
}

fn none(what: &str) -> (u16, &'static str, String) {
    (400, "ResourceNotFoundException", format!("{what} does not exist."))
}

fn without(value: &Value, names: &[&str]) -> Value {
    let fields = value.as_object().into_iter().flatten().filter(|(name, _)| !names.contains(&name.as_str()));
    Value::Object(fields.map(|(name, value)| (name.clone(), value.clone())).collect::<Map<_, _>>())
}

fn items(value: &Value, name: &str) -> Vec<Value> {
    value[name].as_array().cloned().unwrap_or_default()
}

impl Asking<'_> {
    fn answer(&self, call: &Call) -> Answer {
        let path = self.request.path().to_owned();
        let parts: Vec<String> = path.trim_matches('/').split('/').map(wire::percent_decode).collect();
        let part = |index: usize| parts.get(index).map_or("", String::as_str);
        let body: Value = serde_json::from_slice(&self.request.body).unwrap_or_default();
        match call.operation.as_str() {
            "DescribeRegionSettings" => Ok(json!({
                "ResourceTypeOptInPreference": self.place.opt_in, "ResourceTypeManagementPreference": {},
            })),
            "ListBackupPlans" => {
                let rows = self.place.plans.iter().map(|plan| {
                    json!({
                        "BackupPlanId": plan["BackupPlanId"], "BackupPlanArn": self.plan_arn(plan),
                        "BackupPlanName": plan["BackupPlan"]["BackupPlanName"], "VersionId": "1",
                    })
                });
                self.rest_page("BackupPlansList", rows.collect())
            }
            "GetBackupPlan" => {
                let plan = self.plan(part(2))?;
                Ok(json!({
                    "BackupPlanId": plan["BackupPlanId"], "BackupPlanArn": self.plan_arn(plan), "BackupPlan": plan["BackupPlan"],
                }))
            }
            "ListBackupSelections" => {
                let rows = items(self.plan(part(2))?, "Selections").into_iter().map(|of| {
                    json!({
                        "SelectionId": of["SelectionId"], "SelectionName": of["BackupSelection"]["SelectionName"],
                        "BackupPlanId": part(2),
                    })
                });
                self.rest_page("BackupSelectionsList", rows.collect())
            }
            "GetBackupSelection" => {
                let selections = items(self.plan(part(2))?, "Selections");
                let found = selections.into_iter().find(|of| of["SelectionId"] == part(4));
                found.ok_or_else(|| none("Backup selection"))
            }
            "ListBackupVaults" => {
                let hidden: &[&str] = match self.place.lists_locks {
                    true => &["Policy", "Tags", "RecoveryPoints"],
                    false => &[
                        "Policy",
                        "Tags",
                        "RecoveryPoints",
                        "Locked",
                        "MinRetentionDays",
                        "MaxRetentionDays",
                        "LockDate",
                    ],
                };
                let rows = self.place.vaults.iter().map(|vault| without(&self.described(vault), hidden));
                self.rest_page("BackupVaultList", rows.collect())
            }
            "DescribeBackupVault" => {
                Ok(without(&self.described(self.vault(part(1))?), &["Policy", "Tags", "RecoveryPoints"]))
            }
            "GetBackupVaultAccessPolicy" => match self.vault(part(1))?["Policy"].as_str() {
                Some(policy) => Ok(json!({"BackupVaultName": part(1), "Policy": policy})),
                None => Err(none("Backup vault access policy")),
            },
            "ListRecoveryPointsByBackupVault" => {
                self.rest_page("RecoveryPoints", items(self.vault(part(1))?, "RecoveryPoints"))
            }
            "ListRestoreJobs" => {
                let form = Form::parse(self.request.query());
                let wanted = form.get("status");
                let jobs = self.place.restore_jobs.iter();
                let jobs = jobs.filter(|job| wanted.is_none() || job["Status"].as_str() == wanted);
                self.rest_page("RestoreJobs", jobs.cloned().collect())
            }
            "ListTags" => {
                let arn = part(1);
                let plan = self.place.plans.iter().find(|plan| self.plan_arn(plan) == arn);
                let vault = self.place.vaults.iter().find(|vault| self.described(vault)["BackupVaultArn"] == arn);
                let of = plan.or(vault).ok_or_else(|| none("Resource"))?;
                Ok(json!({"Tags": of["Tags"].as_object().cloned().unwrap_or_default()}))
            }
            "DescribeConfigurationRecorders" => {
                let recorder = self.place.recording_group.as_ref();
                let recorders = recorder.map(|group| json!({"name": "default", "recordingGroup": group}));
                Ok(json!({"ConfigurationRecorders": recorders.into_iter().collect::<Vec<_>>()}))
            }
            "DescribeConfigurationRecorderStatus" => {
                let recorder = self.place.recording_group.as_ref();
                let status = recorder.map(|_| json!({"name": "default", "recording": self.place.recording}));
                Ok(json!({"ConfigurationRecordersStatus": status.into_iter().collect::<Vec<_>>()}))
            }
            "DescribeFileSystems" => {
                self.page("FileSystems", "NextToken", self.place.file_systems.clone(), &body, None)
            }
            "ListVolumes" => {
                let rows = self.place.volumes.iter().map(|volume| without(volume, &["Tags"]));
                self.page("VolumeInfos", "Marker", rows.collect(), &body, None)
            }
            "ListVirtualMachines" => {
                let rows = self.place.virtual_machines.iter().map(|machine| without(machine, &["Tags"]));
                self.page("VirtualMachines", "NextToken", rows.collect(), &body, None)
            }
            "ListTagsForResource" => {
                let (all, name, asked) = match call.service.as_str() {
                    "storagegateway" => (&self.place.volumes, "VolumeARN", &body["ResourceARN"]),
                    _ => (&self.place.virtual_machines, "ResourceArn", &body["ResourceArn"]),
                };
                let of = all.iter().find(|of| of[name] == *asked).ok_or_else(|| none("Resource"))?;
                Ok(json!({"Tags": items(of, "Tags")}))
            }
            other => Err((400, "InvalidAction", format!("the sandbox has no {other} in member accounts"))),
        }
    }

    fn plan_arn(&self, plan: &Value) -> String {
        let id = plan["BackupPlanId"].as_str().unwrap_or_default();
        format!("arn:aws:backup:{}:{}:backup-plan:{id}", self.region, self.account)
    }

    fn plan(&self, id: &str) -> Result<&Value, (u16, &'static str, String)> {
        self.place.plans.iter().find(|plan| plan["BackupPlanId"] == id).ok_or_else(|| none("Backup plan"))
    }

    fn vault(&self, name: &str) -> Result<&Value, (u16, &'static str, String)> {
        self.place.vaults.iter().find(|vault| vault["BackupVaultName"] == name).ok_or_else(|| none("Backup vault"))
    }

    /// A vault with what AWS fills in.
    fn described(&self, vault: &Value) -> Value {
        let mut described = vault.clone();
        let name = vault["BackupVaultName"].as_str().unwrap_or_default();
        let arn = format!("arn:aws:backup:{}:{}:backup-vault:{name}", self.region, self.account);
        let points = vault["RecoveryPoints"].as_array().map_or(0, Vec::len);
        for (field, value) in [
            ("BackupVaultArn", json!(arn)),
            ("VaultType", json!("BACKUP_VAULT")),
            ("Locked", json!(false)),
            ("NumberOfRecoveryPoints", json!(points)),
        ] {
            if described[field].is_null() {
                described[field] = value;
            }
        }
        described
    }

    fn rest_page(&self, name: &str, rows: Vec<Value>) -> Answer {
        let form = Form::parse(self.request.query());
        let asked = form.get("maxResults").and_then(|text| text.parse().ok());
        let body = form.get("nextToken").map_or(Value::Null, |token| json!({"NextToken": token}));
        self.page(name, "NextToken", rows, &body, asked)
    }

    fn page(&self, name: &str, token: &str, rows: Vec<Value>, ask: &Value, most: Option<usize>) -> Answer {
        let bad = || (400, "InvalidParameterValueException", "The token is not valid".to_owned());
        let from = match &ask[token] {
            Value::Null => 0,
            value => value.as_str().and_then(|text| text.parse::<usize>().ok()).ok_or_else(bad)?,
        };
        if from > rows.len() || most.is_some_and(|most| most == 0 || most > 1000) {
            return Err(bad());
        }
        let most = most.unwrap_or(1000).min(self.page.unwrap_or(usize::MAX));
        let until = rows.len().min(from + most);
        let mut answer = json!({name: rows[from..until]});
        if until < rows.len() {
            answer[token] = json!(until.to_string());
        }
        Ok(answer)
    }
}
