//! The files of a crate and the files that each of them depends on, by the paths in their code.
//!
//! A path is followed through re-exports to the file that defines the item. Tests are not read. A module may use the module that it is
//! part of: this is not counted as a dependency, since both are one unit to the rest of the crate.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crate::files;

/// A module by its path in the crate; the crate root is empty.
pub(crate) type ModulePath = Vec<String>;

/// For each module the modules that it depends on.
pub(crate) type ImportGraph = BTreeMap<ModulePath, BTreeSet<ModulePath>>;

/// The parts of a module's code that contain paths.
#[derive(Debug, Default)]
struct ModuleCode {
    /// The paths of private `use` items.
    imports: Vec<Vec<String>>,
    /// The paths of `pub use` items.
    reexports: Vec<Vec<String>>,
    /// The rest, without comments and test modules.
    body: String,
    /// The modules in other files that are compiled for tests only.
    test_modules: Vec<String>,
}

/// The modules of a crate.
struct CrateSource(BTreeMap<ModulePath, ModuleCode>);

/// The graph of the crate in this folder, by its path from the root of the repository.
pub(crate) fn of_crate(folder: &str) -> ImportGraph {
    let mut texts = BTreeMap::new();
    read_folder(&files::root().join(folder).join("src"), &[], &mut texts);
    assert!(!texts.is_empty(), "`{folder}` has no source files");
    graph(&texts)
}

fn read_folder(folder: &Path, module: &[String], found: &mut BTreeMap<ModulePath, String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let inner = [module, std::slice::from_ref(&name)].concat();
        if name == "tests" {
            continue;
        } else if path.is_dir() {
            read_folder(&path, &inner, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let root = (module.is_empty() && matches!(&*name, "lib" | "main")) || name == "mod";
            found.insert(if root { module.to_vec() } else { inner }, fs::read_to_string(&path).unwrap());
        }
    }
}

fn graph(texts: &BTreeMap<ModulePath, String>) -> ImportGraph {
    let mut code: BTreeMap<ModulePath, ModuleCode> =
        texts.iter().map(|(module, text)| (module.clone(), parse(text))).collect();
    let tests: Vec<ModulePath> =
        code.iter().flat_map(|(module, code)| code.test_modules.iter().map(|name| child(module, name))).collect();
    code.retain(|module, _| !tests.iter().any(|test| module.starts_with(test)));
    let source = CrateSource(code);
    source.0.keys().map(|module| (module.clone(), source.dependencies(module))).collect()
}

fn parse(text: &str) -> ModuleCode {
    let mut code = ModuleCode::default();
    let mut lines = text.lines().map(without_comment);
    let mut test = false;
    while let Some(line) = lines.next() {
        let trimmed = line.trim_start();
        if trimmed == "#[cfg(test)]" {
            test = true;
        } else if test && trimmed.starts_with("mod ") {
            test = false;
            match trimmed.strip_prefix("mod ").and_then(|rest| rest.strip_suffix(';')) {
                Some(name) => code.test_modules.push(name.to_owned()),
                None => while lines.next().is_some_and(|line| line != "}") {},
            }
        } else if let Some((public, tree)) = use_item(trimmed) {
            let mut tree = tree.to_owned();
            while !tree.contains(';') {
                let Some(next) = lines.next() else { break };
                tree.push_str(next);
            }
            let paths = expand(tree.trim_end_matches(';'));
            if public { code.reexports.extend(paths) } else { code.imports.extend(paths) }
        } else {
            test &= trimmed.starts_with("#[");
            code.body.push_str(line);
            code.body.push('\n');
        }
    }
    code
}

fn without_comment(line: &str) -> &str {
    let start = if line.starts_with("//") { Some(0) } else { line.find(" //") };
    start.map_or(line, |start| &line[..start]).trim_end()
}

/// Whether a line begins a public `use` item, and its tree.
fn use_item(line: &str) -> Option<(bool, &str)> {
    if let Some(tree) = line.strip_prefix("use ") {
        return Some((false, tree));
    }
    let (visibility, tree) = line.split_once(" use ")?;
    (visibility == "pub" || (visibility.starts_with("pub(") && visibility.ends_with(')'))).then_some((true, tree))
}

/// The paths of a `use` tree: `a::{b, c::{self, d}}` has `a::b`, `a::c` and `a::c::d`.
fn expand(tree: &str) -> Vec<Vec<String>> {
    let tree = tree.trim();
    let segments = |path: &str| path.split("::").filter(|part| !part.is_empty()).map(str::to_owned).collect::<Vec<_>>();
    let Some((head, rest)) = tree.split_once('{') else {
        let path = tree.split(" as ").next().unwrap_or_default().trim();
        return if path.is_empty() { Vec::new() } else { vec![segments(path)] };
    };
    let head = segments(head.trim());
    let inner = rest.rsplit_once('}').map_or(rest, |(inner, _)| inner);
    let (mut paths, mut depth, mut start) = (Vec::new(), 0, 0);
    for (at, c) in inner.char_indices().chain([(inner.len(), ',')]) {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                for path in expand(&inner[start..at]) {
                    let path = if path == ["self"] { Vec::new() } else { path };
                    paths.push([head.clone(), path].concat());
                }
                start = (at + 1).min(inner.len());
            }
            _ => {}
        }
    }
    paths
}

impl CrateSource {
    /// The modules that the code of a module depends on.
    fn dependencies(&self, module: &[String]) -> BTreeSet<ModulePath> {
        let code = &self.0[module];
        let words = code.body.split(|c: char| !c.is_alphanumeric() && c != '_' && c != ':');
        let inline = words.filter(|word| word.contains("::") && !word.starts_with(':')).flat_map(expand);
        let paths = code.imports.iter().cloned().chain(inline);
        let targets = paths.filter_map(|path| self.resolve(&path, module, 8));
        targets.filter(|target| !module.starts_with(target)).collect()
    }

    /// The module that defines the item of a path; at most `depth` re-exports are followed.
    fn resolve(&self, path: &[String], module: &[String], depth: usize) -> Option<ModulePath> {
        let (mut base, mut rest) = self.start(path, module)?;
        while let Some(segment) = rest.first()
            && self.0.contains_key(&child(&base, segment))
        {
            (base, rest) = (child(&base, segment), &rest[1..]);
        }
        let Some(item) = rest.first().filter(|_| depth > 0) else { return Some(base) };
        for reexport in &self.0[&base].reexports {
            let Some((last, parents)) = reexport.split_last() else { continue };
            if last == item && reexport != path {
                return self.resolve(reexport, &base, depth - 1).or(Some(base));
            }
            if last == "*"
                && let Some(target) = self.resolve(parents, &base, depth - 1)
                && self.defines(&target, item)
            {
                return Some(target);
            }
        }
        Some(base)
    }

    /// The module at which a path begins, and the segments after it. `None` for the path of another crate.
    fn start<'a>(&self, path: &'a [String], module: &[String]) -> Option<(ModulePath, &'a [String])> {
        match &**path.first()? {
            "crate" => Some((Vec::new(), &path[1..])),
            "self" => Some((module.to_vec(), &path[1..])),
            "super" => {
                let up = path.iter().take_while(|segment| *segment == "super").count();
                Some((module[..module.len().saturating_sub(up)].to_vec(), &path[up..]))
            }
            first => self.0.contains_key(&child(module, first)).then(|| (module.to_vec(), path)),
        }
    }

    fn defines(&self, module: &[String], item: &str) -> bool {
        let body = &self.0[module].body;
        ["struct", "enum", "fn", "const", "type", "trait", "static"].iter().any(|kind| {
            let definition = format!("{kind} {item}");
            let mut found = body.match_indices(&definition);
            found.any(|(at, _)| !body[at + definition.len()..].starts_with(|c: char| c.is_alphanumeric() || c == '_'))
        })
    }
}

fn child(module: &[String], name: &str) -> ModulePath {
    [module, &[name.to_owned()]].concat()
}

/// The groups of modules that depend on each other, the largest first.
pub(crate) fn circles(graph: &ImportGraph) -> Vec<Vec<String>> {
    let reachable: BTreeMap<&ModulePath, BTreeSet<&ModulePath>> =
        graph.keys().map(|module| (module, reachable(graph, module))).collect();
    let mut found: BTreeSet<Vec<String>> = BTreeSet::new();
    for module in graph.keys() {
        let circle: Vec<String> = graph
            .keys()
            .filter(|other| reachable[module].contains(other) && reachable[other].contains(module))
            .map(|module| module.join("::"))
            .collect();
        if circle.len() > 1 {
            found.insert(circle);
        }
    }
    let mut found: Vec<_> = found.into_iter().collect();
    found.sort_by_key(|circle| std::cmp::Reverse(circle.len()));
    found
}

fn reachable<'a>(graph: &'a ImportGraph, from: &'a [String]) -> BTreeSet<&'a ModulePath> {
    let (mut found, mut next) = (BTreeSet::new(), vec![from]);
    while let Some(module) = next.pop() {
        next.extend(graph[module].iter().filter(|target| found.insert(*target)).map(Vec::as_slice));
    }
    found
}

#[test]
fn dependency_is_followed_through_reexport() {
    let texts = [
        (vec![], "mod a;\nmod b;\npub use a::inner::Item;\n"),
        (vec!["a"], "pub mod inner;\n"),
        (vec!["a", "inner"], "pub struct Item;\nuse super::Helper; // of the parent\n"),
        (
            vec!["b"],
            "use crate::{\n    Item as Other,\n    a::{self},\n};\nfn f() { crate::b::g() }\n#[cfg(test)]\nmod tests {\n    use crate::c::D;\n}\n",
        ),
    ];
    let owned = |path: &[&str]| path.iter().map(|part| (*part).to_owned()).collect::<Vec<_>>();
    let texts = texts.into_iter().map(|(module, text)| (owned(&module), text.to_owned())).collect();
    let graph = graph(&texts);
    assert_eq!(graph[&owned(&["b"])], [owned(&["a"]), owned(&["a", "inner"])].into());
    assert_eq!(graph[&owned(&["a", "inner"])], BTreeSet::new());
    assert_eq!(circles(&graph), Vec::<Vec<String>>::new());
}

#[test]
fn circle_of_modules_is_found() {
    let owned = |name: &str| vec![name.to_owned()];
    let texts = [
        ("a", "use crate::b::B;"),
        ("b", "fn f(x: crate::c::C) {}"),
        ("c", "use super::a::A;"),
        ("d", "use crate::a::A;"),
    ];
    let modules = texts.into_iter().map(|(module, text)| (owned(module), text.to_owned()));
    let graph = graph(&modules.chain([(Vec::new(), String::new())]).collect());
    assert_eq!(circles(&graph), [["a", "b", "c"]]);
}
