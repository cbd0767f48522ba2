//! The graph of the library's modules, read from the parsed sources.
//!
//! A node is a module with a file of its own; a module inside a file belongs to it. There is an edge from
//! a module to another whose item it names: in a `use`, a path, a macro's tokens or an attribute. A name
//! that comes through another module's `use` leads to where the item is defined. Methods are called
//! without being named, so a call of one makes no edge.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use proc_macro2::{TokenStream, TokenTree};
use syn::{
    Attribute, Item, ItemMod, ItemUse, Macro, UseTree,
    visit::{self, Visit},
};

/// Position of a module in [`Crate::modules`]; the first is the crate's root.
type Id = usize;

#[derive(Default)]
struct Module {
    name: String,
    parent: Option<Id>,
    /// The module whose file this one stands in.
    file: Id,
    /// Of a module with a file of its own.
    path: Option<PathBuf>,
    children: BTreeMap<String, Id>,
    names: BTreeMap<String, Name>,
    globs: Vec<Vec<String>>,
    /// Paths named in this module, its `use` lines included.
    paths: Vec<Vec<String>>,
}

/// What a name in a module stands for.
enum Name {
    Item,
    Alias(Vec<String>),
}

/// Where a path leads.
#[derive(Clone, Copy)]
enum Target {
    Module(Id),
    ItemOf(Id),
}

#[derive(Default)]
struct Crate {
    modules: Vec<Module>,
}

/// From one module to another, each with the names that make the edge.
pub type Edges = BTreeMap<(String, String), BTreeSet<String>>;

/// The modules of a crate, by their paths from `crate` on.
#[derive(Debug, Default)]
pub struct Graph {
    /// Each module's file, below the folder of the sources and with `/`.
    pub files: BTreeMap<String, String>,
    pub edges: Edges,
    /// The first name of each path that leads out of the crate, and the first two: other crates and
    /// their parts, and names of the prelude.
    pub outside: BTreeMap<String, BTreeSet<String>>,
}

impl Graph {
    /// The graph of the crate whose root is `lib.rs` in this folder.
    pub fn read(src: &Path) -> Self {
        let mut read = Crate::default();
        read.modules.push(Module::default());
        read.add_file(0, &src.join("lib.rs"), src);
        read.graph(src)
    }
}

/// The edges between children of one module, everything below a child taken together with it, by that
/// module. What a module names of its own parents and children is in none of them.
pub fn edges_of_siblings(edges: &Edges) -> BTreeMap<String, Edges> {
    let mut folded: BTreeMap<String, Edges> = BTreeMap::new();
    for ((from, to), names) in edges {
        let (from, to) = (parts(from), parts(to));
        let shared = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
        if shared == from.len() || shared == to.len() {
            continue;
        }
        let child = |path: &[&str]| path[..=shared].join("::");
        let siblings = folded.entry(from[..shared].join("::")).or_default();
        siblings
            .entry((child(&from), child(&to)))
            .or_default()
            .extend(names.iter().cloned());
    }
    folded
}

fn parts(path: &str) -> Vec<&str> {
    path.split("::").collect()
}

/// Groups of modules that reach each other, largest first.
pub fn cycles(edges: &Edges) -> Vec<BTreeSet<&str>> {
    let reached: BTreeMap<&str, BTreeSet<&str>> = edges
        .keys()
        .map(|(from, _)| (from.as_str(), reachable(edges, from)))
        .collect();
    let returns = |from: &str, to: &str| reached.get(to).is_some_and(|back| back.contains(from));
    let groups: BTreeSet<BTreeSet<&str>> = reached
        .iter()
        .map(|(from, seen)| {
            let group = seen.iter().filter(|to| returns(from, to));
            group.copied().collect()
        })
        .collect();
    let mut groups: Vec<_> = groups.into_iter().filter(|it| it.len() > 1).collect();
    groups.sort_by_key(|group| std::cmp::Reverse(group.len()));
    groups
}

fn reachable<'a>(edges: &'a Edges, start: &str) -> BTreeSet<&'a str> {
    let mut seen = BTreeSet::new();
    let mut pending = vec![start];
    while let Some(at) = pending.pop() {
        for (from, to) in edges.keys() {
            if from == at && seen.insert(to.as_str()) {
                pending.push(to);
            }
        }
    }
    seen
}

impl Crate {
    /// Adds a file's items to its module; `folder` holds the files of the modules it declares.
    fn add_file(&mut self, module: Id, path: &Path, folder: &Path) {
        self.modules[module].path = Some(path.to_owned());
        let text = fs::read_to_string(path)
            .unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()));
        let parsed = syn::parse_file(&text)
            .unwrap_or_else(|error| panic!("cannot parse {}: {error}", path.display()));
        self.add_items(module, parsed.items, folder);
    }

    fn add_items(&mut self, module: Id, items: Vec<Item>, folder: &Path) {
        for item in items {
            if let Some(name) = defined(&item) {
                self.modules[module].names.insert(name, Name::Item);
            }
            match item {
                Item::Mod(child) => self.add_module(module, child, folder),
                item => {
                    if let Item::Macro(call) = &item {
                        let names = defined_in(call.mac.tokens.clone());
                        let known = &mut self.modules[module].names;
                        names.into_iter().for_each(|name| {
                            known.entry(name).or_insert(Name::Item);
                        });
                    }
                    Reader(&mut self.modules[module]).visit_item(&item);
                }
            }
        }
    }

    fn add_module(&mut self, parent: Id, item: ItemMod, folder: &Path) {
        let (id, name) = (self.modules.len(), item.ident.to_string());
        let inline = item.content.is_some();
        self.modules.push(Module {
            name: name.clone(),
            parent: Some(parent),
            file: if inline {
                self.modules[parent].file
            } else {
                id
            },
            ..Module::default()
        });
        self.modules[parent].children.insert(name.clone(), id);
        let below = folder.join(&name);
        match item.content {
            Some((_, items)) => self.add_items(id, items, &below),
            None => {
                let files: [PathBuf; 2] = [below.with_extension("rs"), below.join("mod.rs")];
                let file = files.iter().find(|file| file.is_file());
                let file = file.unwrap_or_else(|| panic!("no file of {}", below.display()));
                self.add_file(id, file, &below);
            }
        }
    }

    fn graph(&self, src: &Path) -> Graph {
        let mut graph = Graph::default();
        for (id, module) in self.modules.iter().enumerate() {
            let from = self.path_of(module.file);
            if let Some(file) = &module.path {
                let file = file.strip_prefix(src).unwrap().to_str().unwrap();
                graph.files.insert(from.clone(), file.replace('\\', "/"));
            }
            for path in &module.paths {
                match self.resolve(id, path) {
                    Some(Target::Module(_)) => {}
                    Some(Target::ItemOf(to)) => {
                        let to = self.path_of(self.modules[to].file);
                        if from != to {
                            let names = graph.edges.entry((from.clone(), to)).or_default();
                            names.insert(path.join("::"));
                        }
                    }
                    None => {
                        let names = graph.outside.entry(from.clone()).or_default();
                        names.insert(path[0].clone());
                        names.extend(path.get(..2).map(|two| two.join("::")));
                    }
                }
            }
        }
        graph
    }

    /// Where a path that stands in this module leads, if into this crate. A path whose last names are
    /// unknown, such as those a macro makes, leads to the last module that is known.
    fn resolve(&self, within: Id, path: &[String]) -> Option<Target> {
        let first = path.first()?;
        let start = match first.as_str() {
            "crate" => Target::Module(0),
            "self" => Target::Module(within),
            "super" => Target::Module(self.modules[within].parent?),
            name => self.lookup(within, name, path.len() == 1)?,
        };
        self.follow(start, &path[1..])
    }

    /// Where the path of a `use` leads. Its first name never comes through the imports of its module:
    /// they are what is being resolved.
    fn resolve_use(&self, within: Id, path: &[String]) -> Option<Target> {
        match path[0].as_str() {
            "crate" | "self" | "super" => self.resolve(within, path),
            name => {
                let module = &self.modules[within];
                let start = match (module.children.get(name), module.names.get(name)) {
                    (Some(id), _) => Target::Module(*id),
                    (None, Some(Name::Item)) => Target::ItemOf(within),
                    _ => return None,
                };
                self.follow(start, &path[1..])
            }
        }
    }

    fn follow(&self, start: Target, mut rest: &[String]) -> Option<Target> {
        let mut at = start;
        while let (Target::Module(id), Some((name, after))) = (at, rest.split_first()) {
            at = match name.as_str() {
                "super" => Target::Module(self.modules[id].parent?),
                "self" => at,
                name => self
                    .lookup(id, name, after.is_empty())
                    .unwrap_or(Target::ItemOf(id)),
            };
            rest = after;
        }
        Some(at)
    }

    /// A module and an item may share a name: the last name of a path means the item.
    fn lookup(&self, within: Id, name: &str, last: bool) -> Option<Target> {
        let module = &self.modules[within];
        let child = module.children.get(name).copied().map(Target::Module);
        let item = || match module.names.get(name)? {
            Name::Item => Some(Target::ItemOf(within)),
            Name::Alias(path) => self.resolve_use(within, path),
        };
        let known = if last {
            item().or(child)
        } else {
            child.or_else(item)
        };
        known.or_else(|| {
            let through = |path: &Vec<String>| match self.resolve_use(within, path)? {
                Target::Module(id) if id != within => self.lookup(id, name, last),
                _ => None,
            };
            module.globs.iter().find_map(through)
        })
    }

    fn path_of(&self, id: Id) -> String {
        let module = &self.modules[id];
        match module.parent {
            None => "crate".to_owned(),
            Some(parent) => format!("{}::{}", self.path_of(parent), module.name),
        }
    }
}

/// The name that an item adds to its module.
fn defined(item: &Item) -> Option<String> {
    let ident = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Macro(item) => item.ident.as_ref()?,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Union(item) => &item.ident,
        _ => return None,
    };
    Some(ident.to_string())
}

/// Names of the items in the tokens of a macro's call.
fn defined_in(tokens: TokenStream) -> Vec<String> {
    let words = [
        "struct",
        "enum",
        "interface",
        "contract",
        "event",
        "error",
        "function",
        "fn",
        "const",
        "static",
        "type",
    ];
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let named = tokens.windows(2).filter_map(|pair| match pair {
        [TokenTree::Ident(word), TokenTree::Ident(name)] => words
            .contains(&word.to_string().as_str())
            .then(|| name.to_string()),
        _ => None,
    });
    named.collect()
}

/// Collects what the items of one module name.
struct Reader<'a>(&'a mut Module);

impl Reader<'_> {
    fn read_use(&mut self, before: &[String], tree: &UseTree) {
        let joined = |name: String| [before, &[name]].concat();
        match tree {
            UseTree::Path(path) => self.read_use(&joined(path.ident.to_string()), &path.tree),
            UseTree::Name(name) if name.ident == "self" => {
                let last = before.last().cloned().unwrap_or_default();
                self.import(last, before.to_vec());
            }
            UseTree::Name(name) => {
                let name = name.ident.to_string();
                self.import(name.clone(), joined(name));
            }
            UseTree::Rename(name) => {
                let path = match name.ident.to_string().as_str() {
                    "self" => before.to_vec(),
                    other => joined(other.to_owned()),
                };
                self.import(name.rename.to_string(), path);
            }
            UseTree::Glob(_) => self.0.globs.push(before.to_vec()),
            UseTree::Group(group) => group
                .items
                .iter()
                .for_each(|item| self.read_use(before, item)),
        }
    }

    fn import(&mut self, name: String, path: Vec<String>) {
        self.0.paths.push(path.clone());
        let known = self.0.names.entry(name);
        known.or_insert(Name::Alias(path));
    }

    /// Reads the paths in tokens that are not parsed, such as `format!("{}", crate::a::b())`.
    fn read_tokens(&mut self, tokens: TokenStream) {
        let mut path: Vec<String> = Vec::new();
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Ident(name) => {
                    if colons != 2 {
                        self.finish(&mut path);
                    }
                    path.push(name.to_string());
                    colons = 0;
                }
                TokenTree::Punct(mark) if mark.as_char() == ':' => colons += 1,
                other => {
                    self.finish(&mut path);
                    colons = 0;
                    match other {
                        TokenTree::Group(group) => self.read_tokens(group.stream()),
                        TokenTree::Literal(literal) => self.read_text(&literal.to_string()),
                        _ => {}
                    }
                }
            }
        }
        self.finish(&mut path);
    }

    fn finish(&mut self, path: &mut Vec<String>) {
        if !path.is_empty() {
            self.0.paths.push(std::mem::take(path));
        }
    }

    /// A path in quotes, as in `#[serde(with = "super::hex")]`.
    fn read_text(&mut self, literal: &str) {
        let text = literal.trim_matches('"');
        let word = |part: &str| {
            !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        };
        if text.contains("::") && text.split("::").all(word) {
            let path = text.split("::").map(str::to_owned).collect();
            self.0.paths.push(path);
        }
    }
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        self.read_use(&[], &item.tree);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names = path.segments.iter().map(|part| part.ident.to_string());
        let names: Vec<String> = names.collect();
        if path.leading_colon.is_none() && names[0] != "Self" {
            self.0.paths.push(names);
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast Macro) {
        self.visit_path(&call.path);
        self.read_tokens(call.tokens.clone());
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        if !attribute.path().is_ident("doc")
            && let syn::Meta::List(list) = &attribute.meta
        {
            self.read_tokens(list.tokens.clone());
        }
    }
}
