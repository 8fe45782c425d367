//! The files that `check` reads.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use evaluation::inventory::BackupPolicyFile;
use evaluation::inventory::terraform::TerraformPlan;
use framework::ids::{AccountId, RegionName};
use syntax::diagnostic::Diagnostic;

use super::CheckArgs;
use super::assembly::{self, AssemblyFile, AssemblyStack};
use crate::frameworks::unusable;
use crate::input;
use crate::templates::{self, Files};

/// The account and Region of stacks that are checked together, as far as they are known.
pub(super) type StackPlace = (Option<AccountId>, Option<RegionName>);

/// The files, each with its name and text.
#[derive(Default)]
pub(super) struct CheckInput {
    /// First the files to check, then those with plans.
    pub(super) files: Vec<(String, String)>,
    /// The files that are not templates by name. Their texts are empty.
    pub(super) others: BTreeMap<String, OtherFile>,
    /// The stacks of cloud assemblies by the name of the file.
    pub(super) stacks: BTreeMap<String, AssemblyStack>,
    pub(super) checked: usize,
    pub(super) inventories: Vec<(String, String)>,
    /// Files of folders that are not valid templates.
    pub(super) skipped: Vec<Diagnostic>,
}

/// A checked file that is not a template.
pub(super) enum OtherFile {
    Terraform(Box<TerraformPlan>),
    Policy(BackupPolicyFile),
}

impl CheckInput {
    pub(super) fn of(args: &CheckArgs) -> anyhow::Result<Self> {
        let mut read = Self::default();
        let mut known = BTreeSet::new();
        let rest = read.assemblies(args, &args.templates, &mut known)?;
        let Files { files, skipped } = templates::find(&rest, &args.exclude)?;
        for (path, text) in files {
            let text = match text {
                Some(text) => text,
                None => input::checked(&path)?.map_err(|diagnostic| unusable(vec![diagnostic]))?,
            };
            if known.insert(templates::identity(&path)) {
                read.add(&path, text)?;
            }
        }
        read.checked = read.files.len();
        read.skipped = skipped;
        let rest = read.assemblies(args, &args.plans, &mut known)?;
        let Files { files, skipped } = templates::find(&rest, &args.exclude)?;
        for (path, text) in files {
            if known.contains(&templates::identity(&path)) {
                continue;
            }
            let text = text.map_or_else(|| input::text(&path, input::INVENTORY), Ok)?;
            let is_inventory =
                text.trim_start_matches('\u{feff}').trim_start().starts_with('{') && text.contains("\"asOf\"");
            match is_inventory {
                true => read.inventories.push((input::name(&path), text)),
                false => read.add(&path, text)?,
            }
        }
        for diagnostic in skipped {
            if !read.skipped.contains(&diagnostic) {
                read.skipped.push(diagnostic);
            }
        }
        Ok(read)
    }

    /// Adds the templates of cloud assemblies, and returns the other paths.
    fn assemblies(
        &mut self,
        args: &CheckArgs,
        paths: &[PathBuf],
        known: &mut BTreeSet<PathBuf>,
    ) -> anyhow::Result<Vec<PathBuf>> {
        let (assemblies, rest): (Vec<&PathBuf>, Vec<&PathBuf>) =
            paths.iter().partition(|path| assembly::is_assembly(path));
        for folder in assemblies {
            for AssemblyFile { path, text, stack } in assembly::read(folder)? {
                let path = templates::plain(&path);
                let base = templates::plain(folder);
                let mut parts = path.ancestors().take_while(|part| **part != *base && part.starts_with(&base));
                let is_excluded = parts.any(|part| args.exclude.iter().any(|exclusion| exclusion.matches(part, &base)));
                if !is_excluded && known.insert(templates::identity(&path)) {
                    let name = input::name(&path);
                    self.stacks.insert(name.clone(), stack);
                    self.files.push((name, text));
                }
            }
        }
        Ok(rest.into_iter().cloned().collect())
    }

    /// Adds a template, a Terraform plan or a backup policy.
    fn add(&mut self, path: &Path, text: String) -> anyhow::Result<()> {
        let name = input::name(path);
        if TerraformPlan::is_plan(&text) {
            let plan = TerraformPlan::read(&name, &text).map_err(|diagnostic| unusable(vec![*diagnostic]))?;
            let plan = plan.with_sources(templates::terraform_sources(path));
            self.others.insert(name.clone(), OtherFile::Terraform(Box::new(plan)));
            self.files.push((name, String::new()));
        } else if BackupPolicyFile::is_policy(&text) {
            let policy = BackupPolicyFile::read(&name, &text).map_err(unusable)?;
            self.others.insert(name.clone(), OtherFile::Policy(policy));
            self.files.push((name, String::new()));
        } else {
            self.files.push((name, text));
        }
        Ok(())
    }

    /// Returns the account and Region of a file: those of its environment in the CDK, or those of the options.
    pub(super) fn place(&self, args: &CheckArgs, name: &str) -> StackPlace {
        let (account, region) =
            self.stacks.get(name).map(|stack| (stack.account.clone(), stack.region.clone())).unwrap_or_default();
        (account.or_else(|| args.account.clone()), region.or_else(|| args.region.clone()))
    }
}
