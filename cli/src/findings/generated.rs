//! Generated files, which `--fix` does not change: their tool would overwrite the change.

use std::collections::BTreeMap;
use std::path::Path;

use syntax::diagnostic::Diagnostic;
use syntax::template::Template;

use crate::input::STANDARD_INPUT;
use crate::plain::escaped;
use crate::templates;

#[derive(Clone, Copy, Debug)]
struct Generator {
    folder: &'static str,
    command: &'static str,
    source: &'static str,
}

const CDK: Generator = Generator { folder: "cdk.out", command: "cdk synth", source: "the CDK application" };
const OTHERS: [Generator; 2] = [
    Generator { folder: ".aws-sam", command: "sam build", source: "the template that `sam build` reads" },
    Generator { folder: ".serverless", command: "serverless package", source: "`serverless.yml`" },
];
/// The metadata key with the path of a CDK construct.
const CONSTRUCT: &str = "aws:cdk:path";

/// Removes the edits of findings in generated files and adds the source to their help. Returns a message for each of these files.
pub(crate) fn drop_edits(findings: &mut [Diagnostic], files: &BTreeMap<String, String>) -> Vec<String> {
    let mut kept: BTreeMap<String, Option<Generator>> = BTreeMap::new();
    for diagnostic in findings.iter_mut().filter(|finding| !finding.edits.is_empty()) {
        let Some(text) = files.get(&diagnostic.file) else { continue };
        let of_file = kept.entry(diagnostic.file.clone()).or_insert_with(|| {
            let template = Template::read_source(&diagnostic.file, text).ok();
            generator(&diagnostic.file, template.as_ref())
        });
        let Some(Generator { command, source, .. }) = of_file else { continue };
        diagnostic.help.push_str(&format!("; change {source}: `{command}` generates this file"));
        diagnostic.edits.clear();
    }
    let message = |file: &str, Generator { command, source, .. }: Generator| {
        format!("{}: not changed, because `{command}` generates it; change {source} instead", escaped(file))
    };
    kept.iter().filter_map(|(file, kept)| kept.map(|generator| message(file, generator))).collect()
}

/// Returns the tool that generates a file; `None` for standard input, whose changes are not overwritten.
fn generator(file: &str, template: Option<&Template>) -> Option<Generator> {
    if file == STANDARD_INPUT {
        return None;
    }
    let path = templates::identity(Path::new(file));
    let is_in = |generator: &Generator| path.components().any(|part| part.as_os_str() == generator.folder);
    // `cdk synth --output` renames the folder, but it always contains a file of this name.
    let is_assembly = path.with_file_name(CDK.folder).is_file();
    if is_in(&CDK) || is_assembly || template.is_some_and(|template| template.has_metadata(CONSTRUCT)) {
        return Some(CDK);
    }
    OTHERS.into_iter().find(is_in)
}
