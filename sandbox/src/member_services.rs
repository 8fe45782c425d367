//! Services in the member accounts: AWS Backup, the recorders of AWS Config, KMS keys, and the lists of FSx, Storage
//! Gateway and Backup gateway. Callers with an assumed role read the data that a test or a user has set. Read-only.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::call::ApiCall;
use crate::http::{HttpRequest, HttpResponse};
use crate::ids::AccountRegion;
use crate::wire::{self, Form};

/// The resource types that are opted in by default.
const OPT_IN: [&str; 14] = [
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

/// The data of the services in an account and Region, in the shapes of their APIs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct MemberData {
    /// `ResourceTypeOptInPreference`; by default, all types are opted in.
    pub opt_in: BTreeMap<String, bool>,
    /// The `recordingGroup` of the configuration recorder; `null` if there is no recorder.
    pub recording_group: Option<Value>,
    /// Whether the recorder is recording.
    pub recording: bool,
    /// Plans: `BackupPlanId`, `BackupPlan`, `Tags`, and `Selections` with `SelectionId` and `BackupSelection`.
    pub plans: Vec<Value>,
    /// Vaults in the shape of `DescribeBackupVault`, with `Policy`, `Tags` and `RecoveryPoints`.
    pub vaults: Vec<Value>,
    /// Whether `ListBackupVaults` returns the fields of vault locks.
    pub lists_locks: bool,
    /// Protected resources in the shape of `DescribeProtectedResource`.
    pub protected_resources: Vec<Value>,
    /// KMS keys in the shape of `KeyMetadata`.
    pub keys: Vec<Value>,
    /// `FileSystems` of FSx.
    pub file_systems: Vec<Value>,
    /// `VolumeInfos` of Storage Gateway, with `Tags`.
    pub volumes: Vec<Value>,
    /// `VirtualMachines` of Backup gateway, with `Tags`.
    pub virtual_machines: Vec<Value>,
}

impl Default for MemberData {
    fn default() -> Self {
        Self {
            opt_in: OPT_IN.iter().map(|name| ((*name).to_owned(), true)).collect(),
            recording_group: Some(
                json!({"allSupported": true, "recordingStrategy": {"useOnly": "ALL_SUPPORTED_RESOURCE_TYPES"}}),
            ),
            recording: true,
            plans: Vec::new(),
            vaults: Vec::new(),
            lists_locks: true,
            protected_resources: Vec::new(),
            keys: Vec::new(),
            file_systems: Vec::new(),
            volumes: Vec::new(),
            virtual_machines: Vec::new(),
        }
    }
}

#[derive(Debug, Default)]
struct MemberServicesState {
    locations: BTreeMap<AccountRegion, MemberData>,
    disabled: BTreeSet<AccountRegion>,
    /// The page size; overrides the request's.
    page: Option<usize>,
}

/// AWS Backup in the member accounts.
#[derive(Debug, Default)]
pub struct MemberServices {
    state: Mutex<MemberServicesState>,
}

/// Status, code and message of an error.
type MemberError = (u16, &'static str, String);

type MemberResult = Result<Value, MemberError>;

impl MemberServices {
    fn state(&self) -> MutexGuard<'_, MemberServicesState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Replaces the data of an account and Region.
    pub fn put(&self, account: &str, region: &str, state: MemberData) {
        self.state().locations.insert((account.to_owned(), region.to_owned()), state);
    }

    pub(crate) fn put_json(&self, form: &Form, body: &Value) -> Result<()> {
        let (account, region) =
            form.get("account").zip(form.get("region")).context("account and region are missing")?;
        let state =
            serde_json::from_value(body.clone()).context("see `MemberData` in sandbox/src/member_services.rs")?;
        self.put(account, region, state);
        Ok(())
    }

    /// Sets whether a Region is enabled in an account; all are at the start.
    pub fn set_region_enabled(&self, account: &str, region: &str, enabled: bool) {
        let location = (account.to_owned(), region.to_owned());
        let mut state = self.state();
        if enabled {
            state.disabled.remove(&location);
        } else {
            state.disabled.insert(location);
        }
    }

    /// Sets the page size, which overrides the requests'.
    pub fn set_page_size(&self, items: Option<usize>) {
        self.state().page = items;
    }

    /// Whether this module answers a request with an assumed role.
    pub(crate) fn knows(call: &ApiCall) -> bool {
        match call.service.as_str() {
            "backup" => !call.operation.contains(' ') && !call.operation.contains("Framework"),
            "config" => matches!(
                call.operation.as_str(),
                "DescribeConfigurationRecorders" | "DescribeConfigurationRecorderStatus"
            ),
            "fsx" | "storagegateway" | "backup-gateway" | "kms" => true,
            _ => false,
        }
    }

    pub(crate) fn answer(&self, call: &ApiCall, account: &str, request: &HttpRequest) -> HttpResponse {
        let state = self.state();
        let key = (account.to_owned(), call.region.clone());
        let answer = if state.disabled.contains(&key) {
            Err((
                403,
                "UnrecognizedClientException",
                "The security token included in the request is invalid.".to_owned(),
            ))
        } else {
            let empty = MemberData::default();
            let data = state.locations.get(&key).unwrap_or(&empty);
            let member = MemberRequest { state: data, account, region: &call.region, request, page: state.page };
            member.answer(call)
        };
        match answer {
            Ok(answer) => wire::json_response(&answer),
            Err((status, code, message)) => wire::json_error(status, code, &message),
        }
    }
}

struct MemberRequest<'a> {
    state: &'a MemberData,
    account: &'a str,
    region: &'a str,
    request: &'a HttpRequest,
    page: Option<usize>,
}

fn not_found(what: &str) -> MemberError {
    (400, "ResourceNotFoundException", format!("{what} does not exist."))
}

fn unsupported(operation: &str) -> MemberError {
    (400, "InvalidAction", format!("operation {operation} is not supported in member accounts"))
}

fn without(value: &Value, names: &[&str]) -> Value {
    let fields = value.as_object().into_iter().flatten().filter(|(name, _)| !names.contains(&name.as_str()));
    Value::Object(fields.map(|(name, value)| (name.clone(), value.clone())).collect::<Map<_, _>>())
}

fn items(value: &Value, name: &str) -> Vec<Value> {
    value[name].as_array().cloned().unwrap_or_default()
}

impl MemberRequest<'_> {
    fn answer(&self, call: &ApiCall) -> MemberResult {
        match call.service.as_str() {
            "backup" => self.backup(&call.operation),
            "config" => self.recorders(&call.operation),
            service => self.lists(service, &call.operation),
        }
    }

    fn backup(&self, operation: &str) -> MemberResult {
        let parts: Vec<String> = self.request.path().trim_matches('/').split('/').map(wire::percent_decode).collect();
        let part = |index: usize| parts.get(index).map_or("", String::as_str);
        match operation {
            _ if operation.contains("Plan") || operation.contains("Selection") => {
                self.plans(operation, part(2), part(4))
            }
            "DescribeRegionSettings" => Ok(json!({
                "ResourceTypeOptInPreference": self.state.opt_in, "ResourceTypeManagementPreference": {},
            })),
            "ListBackupVaults" => {
                let hidden: &[&str] = match self.state.lists_locks {
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
                let rows = self.state.vaults.iter().map(|vault| without(&self.described(vault), hidden));
                self.rest_page("BackupVaultList", rows.collect())
            }
            "DescribeBackupVault" => {
                Ok(without(&self.described(self.vault(part(1))?), &["Policy", "Tags", "RecoveryPoints"]))
            }
            "GetBackupVaultAccessPolicy" => match self.vault(part(1))?["Policy"].as_str() {
                Some(policy) => Ok(json!({"BackupVaultName": part(1), "Policy": policy})),
                None => Err(not_found("Backup vault access policy")),
            },
            "ListRecoveryPointsByBackupVault" => {
                self.rest_page("RecoveryPoints", items(self.vault(part(1))?, "RecoveryPoints"))
            }
            "ListProtectedResources" => {
                let restore = [
                    "LatestRestoreExecutionTimeMinutes",
                    "LatestRestoreJobCreationDate",
                    "LatestRestoreRecoveryPointCreationDate",
                ];
                let rows = self.state.protected_resources.iter().map(|resource| without(resource, &restore));
                self.rest_page("Results", rows.collect())
            }
            "DescribeProtectedResource" => {
                let found = self.state.protected_resources.iter().find(|resource| resource["ResourceArn"] == part(1));
                found.cloned().ok_or_else(|| not_found("Protected resource"))
            }
            "ListTags" => {
                let arn = part(1);
                let plan = self.state.plans.iter().find(|plan| self.plan_arn(plan) == arn);
                let vault = self.state.vaults.iter().find(|vault| self.described(vault)["BackupVaultArn"] == arn);
                let of = plan.or(vault).ok_or_else(|| not_found("Resource"))?;
                Ok(json!({"Tags": of["Tags"].as_object().cloned().unwrap_or_default()}))
            }
            other => Err(unsupported(other)),
        }
    }

    fn plans(&self, operation: &str, plan_id: &str, selection_id: &str) -> MemberResult {
        match operation {
            "ListBackupPlans" => {
                let rows = self.state.plans.iter().map(|plan| {
                    json!({
                        "BackupPlanId": plan["BackupPlanId"], "BackupPlanArn": self.plan_arn(plan),
                        "BackupPlanName": plan["BackupPlan"]["BackupPlanName"], "VersionId": "1",
                    })
                });
                self.rest_page("BackupPlansList", rows.collect())
            }
            "GetBackupPlan" => {
                let plan = self.plan(plan_id)?;
                Ok(json!({
                    "BackupPlanId": plan["BackupPlanId"], "BackupPlanArn": self.plan_arn(plan), "BackupPlan": plan["BackupPlan"],
                }))
            }
            "ListBackupSelections" => {
                let rows = items(self.plan(plan_id)?, "Selections").into_iter().map(|of| {
                    json!({
                        "SelectionId": of["SelectionId"], "SelectionName": of["BackupSelection"]["SelectionName"],
                        "BackupPlanId": plan_id,
                    })
                });
                self.rest_page("BackupSelectionsList", rows.collect())
            }
            "GetBackupSelection" => {
                let selections = items(self.plan(plan_id)?, "Selections");
                let found = selections.into_iter().find(|of| of["SelectionId"] == selection_id);
                found.ok_or_else(|| not_found("Backup selection"))
            }
            other => Err(unsupported(other)),
        }
    }

    fn recorders(&self, operation: &str) -> MemberResult {
        let recorder = self.state.recording_group.as_ref();
        if operation == "DescribeConfigurationRecorders" {
            let recorders = recorder.map(|group| json!({"name": "default", "recordingGroup": group}));
            return Ok(json!({"ConfigurationRecorders": recorders.into_iter().collect::<Vec<_>>()}));
        }
        let status = recorder.map(|_| json!({"name": "default", "recording": self.state.recording}));
        Ok(json!({"ConfigurationRecordersStatus": status.into_iter().collect::<Vec<_>>()}))
    }

    fn lists(&self, service: &str, operation: &str) -> MemberResult {
        let body: Value = serde_json::from_slice(&self.request.body).unwrap_or_default();
        match operation {
            "DescribeFileSystems" => {
                self.page("FileSystems", "NextToken", self.state.file_systems.clone(), &body, None)
            }
            "ListVolumes" => {
                let rows = self.state.volumes.iter().map(|volume| without(volume, &["Tags"]));
                self.page("VolumeInfos", "Marker", rows.collect(), &body, None)
            }
            "ListVirtualMachines" => {
                let rows = self.state.virtual_machines.iter().map(|machine| without(machine, &["Tags"]));
                self.page("VirtualMachines", "NextToken", rows.collect(), &body, None)
            }
            "DescribeKey" => {
                let named = |key: &&Value| [&key["Arn"], &key["KeyId"]].contains(&&body["KeyId"]);
                let key = self.state.keys.iter().find(named);
                let key = key.ok_or_else(|| (400, "NotFoundException", "The key does not exist.".to_owned()))?;
                Ok(json!({"KeyMetadata": key}))
            }
            "ListTagsForResource" => {
                let (all, name, arn) = match service {
                    "storagegateway" => (&self.state.volumes, "VolumeARN", &body["ResourceARN"]),
                    _ => (&self.state.virtual_machines, "ResourceArn", &body["ResourceArn"]),
                };
                let of = all.iter().find(|of| of[name] == *arn).ok_or_else(|| not_found("Resource"))?;
                Ok(json!({"Tags": items(of, "Tags")}))
            }
            other => Err(unsupported(other)),
        }
    }

    fn plan_arn(&self, plan: &Value) -> String {
        let id = plan["BackupPlanId"].as_str().unwrap_or_default();
        format!("arn:aws:backup:{}:{}:backup-plan:{id}", self.region, self.account)
    }

    fn plan(&self, id: &str) -> Result<&Value, MemberError> {
        self.state.plans.iter().find(|plan| plan["BackupPlanId"] == id).ok_or_else(|| not_found("Backup plan"))
    }

    fn vault(&self, name: &str) -> Result<&Value, MemberError> {
        self.state.vaults.iter().find(|vault| vault["BackupVaultName"] == name).ok_or_else(|| not_found("Backup vault"))
    }

    /// Returns a vault with the fields that AWS computes.
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

    fn rest_page(&self, name: &str, rows: Vec<Value>) -> MemberResult {
        let form = Form::parse(self.request.query());
        let limit = form.get("maxResults").and_then(|text| text.parse().ok());
        let body = form.get("nextToken").map_or(Value::Null, |token| json!({"NextToken": token}));
        self.page(name, "NextToken", rows, &body, limit)
    }

    fn page(&self, name: &str, token: &str, rows: Vec<Value>, body: &Value, limit: Option<usize>) -> MemberResult {
        let bad = || (400, "InvalidParameterValueException", "The token is not valid".to_owned());
        let from = match &body[token] {
            Value::Null => 0,
            value => value.as_str().and_then(|text| text.parse::<usize>().ok()).ok_or_else(bad)?,
        };
        if from > rows.len() || limit.is_some_and(|limit| limit == 0 || limit > 1000) {
            return Err(bad());
        }
        let limit = limit.unwrap_or(1000).min(self.page.unwrap_or(usize::MAX));
        let until = rows.len().min(from + limit);
        let mut answer = json!({name: rows[from..until]});
        if until < rows.len() {
            answer[token] = json!(until.to_string());
        }
        Ok(answer)
    }
}
