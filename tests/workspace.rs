//! Rules of the workspace as a whole: the order of crates and modules, the dependencies of the functions, language and
//! form of the sources, and agreement of documents and settings.

mod cargo;
mod import_graph;
mod language;
mod layers;
mod licenses;
mod modules;
mod names;
mod paths;
mod pins;
mod profile;
mod readme;
mod rooms;
mod settings;
mod sizes;
mod source;
mod stack;
