//! Cloud assemblies of the CDK: the stacks of a folder such as `cdk.out`, by its manifest.
//!
//! Source: AWS CDK, `cloud-assembly-schema`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path, PathBuf};

use anyhow::{bail, ensure};
use serde::Deserialize;
use serde_json::Value;

use framework::ids::{AccountId, RegionName};
use syntax::diagnostic::{Diagnostic, Position};
use syntax::template::Template;
use syntax::text::printable;
use syntax::yaml::Node;

use crate::frameworks::unusable;
use crate::{input, output};

const MANIFEST: &str = "manifest.json";
const AGAIN: &str = "run `cdk synth` again";

/// A stack of a cloud assembly.
#[derive(Clone, Debug, Default)]
pub(super) struct AssemblyStack {
    /// The account of its environment, if it is known.
    pub(super) account: Option<AccountId>,
    /// The Region of its environment, if it is known.
    pub(super) region: Option<RegionName>,
    /// The tags of the stack, which CloudFormation adds to its resources.
    pub(super) tags: BTreeMap<String, String>,
    /// The known values of its parameters.
    pub(super) parameters: BTreeMap<String, String>,
    /// The logical ids of the nested stacks whose templates are in the assembly.
    pub(super) nested: BTreeSet<String>,
}

/// A template of a cloud assembly, with its text.
pub(super) struct AssemblyFile {
    pub(super) path: PathBuf,
    pub(super) text: String,
    pub(super) stack: AssemblyStack,
}

#[derive(Deserialize)]
struct Manifest {
    #[serde(rename = "version")]
    _version: String,
    #[serde(default)]
    artifacts: BTreeMap<String, Artifact>,
}

#[derive(Deserialize)]
struct Artifact {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    environment: String,
    #[serde(default)]
    properties: ArtifactProperties,
    #[serde(default)]
    metadata: BTreeMap<String, Vec<MetadataEntry>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ArtifactProperties {
    template_file: Option<String>,
    directory_name: Option<String>,
    parameters: BTreeMap<String, String>,
    tags: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct MetadataEntry {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    data: Value,
}

/// Returns whether a path is a folder with the manifest of a cloud assembly.
pub(super) fn is_assembly(folder: &Path) -> bool {
    let text = fs::read_to_string(folder.join(MANIFEST)).unwrap_or_default();
    // One that is not valid JSON is reported when it is read.
    text.contains("\"artifacts\"") && text.contains("\"version\"")
}

/// Returns the templates of all stacks of an assembly, with those of nested assemblies and nested stacks.
pub(super) fn read(folder: &Path) -> anyhow::Result<Vec<AssemblyFile>> {
    let mut reader = AssemblyReader { root: folder, files: Vec::new(), known: BTreeSet::new() };
    reader.assembly(folder)?;
    ensure!(!reader.files.is_empty(), "the cloud assembly `{}` has no stack", folder.display());
    Ok(reader.files)
}

struct AssemblyReader<'a> {
    root: &'a Path,
    files: Vec<AssemblyFile>,
    /// The files that were read, so that a cycle ends.
    known: BTreeSet<PathBuf>,
}

impl AssemblyReader<'_> {
    fn assembly(&mut self, folder: &Path) -> anyhow::Result<()> {
        let path = folder.join(MANIFEST);
        if !self.known.insert(path.clone()) {
            return Ok(());
        }
        let text = input::text(&path, input::MANIFEST)?;
        let manifest: Manifest = serde_json::from_str(&text).map_err(|error| invalid(&path, &text, &error))?;
        for (id, artifact) in manifest.artifacts {
            let Artifact { kind, environment, properties, metadata } = artifact;
            match (kind.as_str(), properties.template_file, properties.directory_name) {
                ("aws:cloudformation:stack", Some(template), _) => {
                    let (account, region) = location(&environment);
                    let mut tags = properties.tags;
                    tags.extend(stack_tags(&metadata));
                    let parameters = properties.parameters;
                    let stack = AssemblyStack { account, region, tags, parameters, nested: BTreeSet::new() };
                    self.stack(&path, folder, (&id, &template), stack)?;
                }
                ("cdk:cloud-assembly", _, Some(directory)) => {
                    let inner = self.inside(&path, folder, (&id, &directory))?;
                    ensure!(
                        inner.join(MANIFEST).is_file(),
                        "{}: `{}` names the assembly `{}`, which has no `{MANIFEST}`; {AGAIN}",
                        path.display(),
                        printable(&id),
                        printable(&directory)
                    );
                    self.assembly(&inner)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Adds a stack and its nested stacks. `named_in` is the file that names the template, with the id of the stack.
    fn stack(
        &mut self,
        named_in: &Path,
        folder: &Path,
        (id, name): (&str, &str),
        mut stack: AssemblyStack,
    ) -> anyhow::Result<()> {
        let path = self.inside(named_in, folder, (id, name))?;
        if !self.known.insert(path.clone()) {
            let file = path.display();
            output::hint(&format!("warning: `{file}` is the template of several stacks; only the first is checked"));
            return Ok(());
        }
        let text = input::template(&path)?.map_err(|diagnostic| unusable(vec![diagnostic]))?;
        let template = Template::read_source(&input::name(&path), &text).map_err(unusable)?;
        let index = self.files.len();
        for (logical_id, kind, body) in template.resources() {
            let asset = body.get("Metadata").and_then(|metadata| metadata.get("aws:asset:path")).and_then(Node::as_str);
            let Some(asset) = asset.filter(|_| kind == "AWS::CloudFormation::Stack") else { continue };
            stack.nested.insert(logical_id.to_owned());
            let inner = AssemblyStack { parameters: literals(body), nested: BTreeSet::new(), ..stack.clone() };
            self.stack(&path, folder, (logical_id, asset), inner)?;
        }
        self.files.insert(index, AssemblyFile { path, text, stack });
        Ok(())
    }

    /// Returns the path of a file or folder that a manifest or template names.
    fn inside(&self, named_in: &Path, folder: &Path, (id, name): (&str, &str)) -> anyhow::Result<PathBuf> {
        let shown = |problem: &str| {
            let (file, id, name) = (named_in.display(), printable(id), printable(name));
            format!("{file}: `{id}` names `{name}`, which {problem}")
        };
        let mut parts: Vec<Component<'_>> = folder.strip_prefix(self.root).unwrap_or(folder).components().collect();
        for part in Path::new(name).components() {
            match part {
                Component::CurDir => {}
                Component::Normal(_) => parts.push(part),
                Component::ParentDir if parts.pop().is_some() => {}
                Component::ParentDir | Component::RootDir | Component::Prefix(_) => {
                    bail!("{}; {AGAIN}", shown("is outside of the cloud assembly"))
                }
            }
        }
        let path = self.root.join(parts.iter().collect::<PathBuf>());
        let Ok(real) = fs::canonicalize(&path) else { bail!("{}; {AGAIN}", shown("does not exist")) };
        // A link may lead out of it.
        if !fs::canonicalize(self.root).is_ok_and(|root| real.starts_with(root)) {
            bail!("{}; copy it there", shown("is a link out of the cloud assembly"));
        }
        Ok(path)
    }
}

fn invalid(path: &Path, text: &str, error: &serde_json::Error) -> anyhow::Error {
    let at = Position { line: error.line().max(1), column: error.column().max(1) };
    let message = error.to_string();
    let message = message.split(" at line ").next().unwrap_or_default();
    let message = format!("not a manifest of a cloud assembly: {message}");
    unusable(vec![Diagnostic::at(&input::name(path), text, at, message, AGAIN)])
}

/// Returns the account and Region of an environment, `aws://ACCOUNT/REGION`, as far as they are known.
fn location(environment: &str) -> (Option<AccountId>, Option<RegionName>) {
    let (account, region) = environment.trim_start_matches("aws://").split_once('/').unwrap_or_default();
    (AccountId::parse(account).ok(), RegionName::parse(region).ok())
}

/// Returns the tags in the metadata of a stack, as older versions of the CDK write them.
fn stack_tags(metadata: &BTreeMap<String, Vec<MetadataEntry>>) -> impl Iterator<Item = (String, String)> {
    let entries = metadata.values().flatten().filter(|entry| entry.kind == "aws:cdk:stack-tags");
    let pairs = entries.filter_map(|entry| entry.data.as_array()).flatten();
    pairs.filter_map(|pair| {
        let text = |upper: &str, lower: &str| pair.get(upper).or_else(|| pair.get(lower)).and_then(Value::as_str);
        Some((text("Key", "key")?.to_owned(), text("Value", "value")?.to_owned()))
    })
}

/// Returns the parameters that a nested stack is given as literals.
fn literals(body: &Node) -> BTreeMap<String, String> {
    let given = body.get("Properties").map(|properties| properties.section("Parameters")).unwrap_or_default().iter();
    let literal = |(name, value): &(Node, Node)| {
        let value = value.as_str().filter(|_| value.tag.is_none())?;
        Some((name.as_str()?.to_owned(), value.to_owned()))
    };
    given.filter_map(literal).collect()
}
