//! Generated files: a change to one is lost when its tool runs again, so `--fix` leaves them as they are.

use std::collections::BTreeMap;
use std::path::Path;

use domain::template::Template;

use super::Finding;
use crate::input::STANDARD_INPUT;
use crate::plain::shown;
use crate::templates;

/// What generates files, and what it generates them from.
#[derive(Clone, Copy, Debug)]
struct Generator {
    /// The folder that it writes.
    folder: &'static str,
    command: &'static str,
    source: &'static str,
}

const CDK: Generator = Generator { folder: "cdk.out", command: "cdk synth", source: "the CDK application" };
const OTHERS: [Generator; 2] = [
    Generator { folder: ".aws-sam", command: "sam build", source: "the template that `sam build` reads" },
    Generator { folder: ".serverless", command: "serverless package", source: "`serverless.yml`" },
];
/// The metadata of a resource in which the CDK writes the path of its construct.
const CONSTRUCT: &str = "aws:cdk:path";

/// Takes the changes out of findings in generated files, and puts the place to change instead into their fixes. Returns a message for
/// each of these files.
pub(crate) fn keep(findings: &mut [Finding], files: &BTreeMap<String, String>) -> Vec<String> {
    let mut kept: BTreeMap<String, Option<(Generator, Option<Template>)>> = BTreeMap::new();
    for Finding { fault, .. } in findings.iter_mut().filter(|finding| !finding.fault.edits.is_empty()) {
        let Some(text) = files.get(&fault.file) else { continue };
        let of_file = kept.entry(fault.file.clone()).or_insert_with(|| {
            let template = Template::read_source(&fault.file, text).ok();
            generator(&fault.file, template.as_ref()).map(|generator| (generator, template))
        });
        let Some((Generator { command, source, .. }, template)) = of_file else { continue };
        let construct = template.as_ref().zip(fault.at).and_then(|(template, at)| template.metadata(at, CONSTRUCT));
        let construct = construct.map(|path| format!(", in the construct `{}`", shown(path))).unwrap_or_default();
        fault.fix.push_str(&format!("; `{command}` generates this file: change {source} instead{construct}"));
        fault.edits.clear();
    }
    let message = |file: &str, Generator { command, source, .. }: Generator| {
        format!("{}: not changed, since `{command}` generates it: change {source} instead", shown(file))
    };
    kept.iter().filter_map(|(file, kept)| kept.as_ref().map(|(generator, _)| message(file, *generator))).collect()
}

/// What generates a file. Standard input is not a file, and its changes are not lost.
fn generator(file: &str, template: Option<&Template>) -> Option<Generator> {
    if file == STANDARD_INPUT {
        return None;
    }
    let path = templates::identity(Path::new(file));
    let is_in = |generator: &Generator| path.components().any(|part| part.as_os_str() == generator.folder);
    // The folder may have another name (`cdk synth --output`), but always has a file of this one.
    let is_assembly = path.with_file_name(CDK.folder).is_file();
    if is_in(&CDK) || is_assembly || template.is_some_and(|template| template.has_metadata(CONSTRUCT)) {
        return Some(CDK);
    }
    OTHERS.into_iter().find(is_in)
}
