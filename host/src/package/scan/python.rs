//! Python: which modules a script imports, and which names of them it uses.

use std::collections::{BTreeMap, BTreeSet};

use tree_sitter::{Node, Tree};

use super::{Findings, Rule, first_error, line_of, named_place, text_of, visit};

/// The modules of the standard library that a plugin may import; what lies below them comes along, but `urllib.parse` is
/// all there is of `urllib`. The runner checks the same list again.
pub const ALLOWED_MODULES: [&str; 46] = [
    "json",
    "os",
    "sys",
    "time",
    "datetime",
    "re",
    "urllib.parse",
    "collections",
    "itertools",
    "math",
    "random",
    "string",
    "pathlib",
    "shutil",
    "hashlib",
    "base64",
    "uuid",
    "enum",
    "dataclasses",
    "functools",
    "operator",
    "statistics",
    "decimal",
    "fractions",
    "array",
    "heapq",
    "bisect",
    "copy",
    "pprint",
    "csv",
    "zipfile",
    "gzip",
    "fileinput",
    "io",
    "codecs",
    "ast",
    "inspect",
    "site",
    "tokenize",
    "token",
    "traceback",
    "warnings",
    "weakref",
    "gc",
    "atexit",
    "logging",
];
/// On the list as well: whether a program may be started is asked separately.
pub(super) const STARTS_PROGRAMS: &str = "subprocess";
/// What is no module of the standard library's own, or only for a type checker; and the plugin's own helper.
pub(super) const ALWAYS: [&str; 3] = ["__future__", "typing", "migraine"];

/// Whether a plugin may import a module, by its full name.
#[must_use]
pub fn is_allowed_module(name: &str) -> bool {
    let top = name.split('.').next().unwrap_or(name);
    let listed =
        |allowed: &&str| name.strip_prefix(*allowed).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    ALLOWED_MODULES.iter().any(listed) || top == STARTS_PROGRAMS || ALWAYS.contains(&top)
}

/// Names that run text as code.
const DYNAMIC: [&str; 4] = ["eval", "exec", "compile", "__import__"];

/// Attributes that lead from any object into the interpreter.
const INTERNAL: [&str; 24] = [
    "__subclasses__",
    "__globals__",
    "__builtins__",
    "__code__",
    "__closure__",
    "__bases__",
    "__base__",
    "__mro__",
    "__loader__",
    "__spec__",
    "__getattribute__",
    "__reduce__",
    "__reduce_ex__",
    "__import__",
    "__self__",
    "f_globals",
    "f_builtins",
    "f_locals",
    "f_back",
    "f_code",
    "gi_frame",
    "cr_frame",
    "tb_frame",
    "co_code",
];

/// Names below a module, by their beginning, and what they mean.
const NAMES: [(&str, Rule, &str); 38] = [
    ("os.system", Rule::Program, ""),
    ("os.popen", Rule::Program, ""),
    ("os.exec", Rule::Program, ""),
    ("os.spawn", Rule::Program, ""),
    ("os.posix_spawn", Rule::Program, ""),
    ("os.startfile", Rule::Program, ""),
    ("subprocess.", Rule::Program, ""),
    ("os.fork", Rule::Interpreter, "makes processes"),
    ("os.kill", Rule::Interpreter, "sends signals"),
    ("os.setuid", Rule::Privilege, "changes who it is"),
    ("os.setgid", Rule::Privilege, "changes who it is"),
    ("os.seteuid", Rule::Privilege, "changes who it is"),
    ("os.setresuid", Rule::Privilege, "changes who it is"),
    ("os.chroot", Rule::Privilege, "changes the root directory"),
    ("os.unshare", Rule::Privilege, "makes namespaces"),
    ("os.setns", Rule::Privilege, "enters namespaces"),
    ("os.mknod", Rule::Privilege, "makes devices"),
    ("os.memfd_create", Rule::Hidden, "makes a file that nobody sees"),
    ("sys.modules", Rule::Interpreter, "takes or replaces loaded modules"),
    ("sys._getframe", Rule::Interpreter, "looks into its callers"),
    ("sys._current_frames", Rule::Interpreter, "looks into other threads"),
    ("sys.settrace", Rule::Interpreter, "watches the interpreter"),
    ("sys.setprofile", Rule::Interpreter, "watches the interpreter"),
    ("sys.addaudithook", Rule::Interpreter, "watches the interpreter"),
    ("sys.meta_path", Rule::Interpreter, "changes how modules are found"),
    ("sys.path_hooks", Rule::Interpreter, "changes how modules are found"),
    ("sys.path", Rule::Interpreter, "changes where modules are found"),
    ("site.addsitedir", Rule::Interpreter, "changes where modules are found"),
    ("site.main", Rule::Interpreter, "changes where modules are found"),
    ("inspect.currentframe", Rule::Interpreter, "looks into its callers"),
    ("inspect.stack", Rule::Interpreter, "looks into its callers"),
    ("inspect.getouterframes", Rule::Interpreter, "looks into its callers"),
    ("inspect.trace", Rule::Interpreter, "looks into its callers"),
    ("gc.get_objects", Rule::Interpreter, "takes every object of the interpreter"),
    ("gc.get_referrers", Rule::Interpreter, "takes every object of the interpreter"),
    ("gc.get_referents", Rule::Interpreter, "takes every object of the interpreter"),
    ("builtins.", Rule::Interpreter, "changes the language"),
    ("logging.config", Rule::Dynamic, "makes objects by their names"),
];
/// These begin like one of [`NAMES`] and are meant otherwise.
const HARMLESS: [&str; 5] = [
    "subprocess.PIPE",
    "subprocess.DEVNULL",
    "subprocess.STDOUT",
    "subprocess.CalledProcessError",
    "sys.path_importer",
];

/// Writes what a syntax tree shows.
pub(super) fn check(tree: &Tree, text: &str, own: &BTreeSet<&str>, may_exec: bool, findings: &mut Findings) {
    if let Some(line) = first_error(tree) {
        findings.add(line, Rule::Syntax, "it is no Python that could be parsed".to_owned());
    }
    let mut script = Script { text, own, may_exec, aliases: BTreeMap::new(), findings };
    visit(tree, |node, _| script.learn(node));
    visit(tree, |node, field| script.look(node, field));
}

struct Script<'a> {
    text: &'a str,
    own: &'a BTreeSet<&'a str>,
    may_exec: bool,
    /// Which module, or name in a module, a name of the script stands for.
    aliases: BTreeMap<&'a str, String>,
    findings: &'a mut Findings,
}

impl<'a> Script<'a> {
    fn text(&self, node: Node<'_>) -> &'a str {
        text_of(node, self.text)
    }

    /// Imports, and names that stand for what was imported.
    fn learn(&mut self, node: Node<'_>) {
        let mut walk = node.walk();
        match node.kind() {
            "import_statement" => {
                for name in node.children_by_field_name("name", &mut walk) {
                    let (module, alias) = self.imported(name);
                    self.import(node, module);
                    let known = alias.unwrap_or_else(|| module.split('.').next().unwrap_or(module));
                    let stands_for = if alias.is_some() { module } else { known };
                    self.aliases.insert(known, stands_for.to_owned());
                }
            }
            "import_from_statement" => {
                let Some(from) = node.child_by_field_name("module_name") else { return };
                if from.kind() == "relative_import" {
                    return;
                }
                let module = self.text(from);
                let names: Vec<_> = node.children_by_field_name("name", &mut walk).collect();
                if names.is_empty() {
                    self.import(node, module);
                }
                for name in names {
                    let (name, alias) = self.imported(name);
                    let full = format!("{module}.{name}");
                    // `from urllib import parse` imports a module, `from os import path` a name.
                    let asked = if is_allowed_module(&full) && !is_allowed_module(module) { &full } else { module };
                    self.import(node, asked);
                    self.aliases.insert(alias.unwrap_or(name), full);
                }
            }
            "assignment" => {
                let sides = (node.child_by_field_name("left"), node.child_by_field_name("right"));
                if let (Some(left), Some(right)) = sides
                    && left.kind() == "identifier"
                    && let Some(path) = self.path(right)
                    && path.contains('.')
                {
                    self.aliases.insert(self.text(left), path);
                }
            }
            _ => {}
        }
    }

    /// The module or name of an import, and what it is called here.
    fn imported(&self, node: Node<'_>) -> (&'a str, Option<&'a str>) {
        if node.kind() != "aliased_import" {
            return (self.text(node), None);
        }
        let part = |field| node.child_by_field_name(field).map(|node| self.text(node));
        (part("name").unwrap_or_default(), part("alias"))
    }

    fn import(&mut self, node: Node<'_>, module: &str) {
        let top = module.split('.').next().unwrap_or(module);
        if !is_allowed_module(module) && !self.own.contains(top) {
            let message = format!("it imports `{module}`, which no plugin may");
            self.findings.add(line_of(node), Rule::Import, message);
        }
    }

    /// The dotted name that an expression is, in terms of modules.
    fn path(&self, node: Node<'_>) -> Option<String> {
        let (mut node, mut parts) = (node, Vec::new());
        while node.kind() == "attribute" {
            parts.push(self.text(node.child_by_field_name("attribute")?));
            node = node.child_by_field_name("object")?;
        }
        if node.kind() != "identifier" {
            return None;
        }
        let name = self.text(node);
        let mut path = self.aliases.get(name).cloned().unwrap_or_else(|| name.to_owned());
        for part in parts.iter().rev() {
            path.push('.');
            path.push_str(part);
        }
        Some(path)
    }

    fn look(&mut self, node: Node<'_>, field: Option<&str>) {
        match node.kind() {
            "attribute" => {
                let name = node.child_by_field_name("attribute").map(|name| self.text(name)).unwrap_or_default();
                self.look_inside(node, name);
                if let Some(path) = self.path(node) {
                    self.look_at_name(node, &path);
                }
            }
            "identifier" if !matches!(field, Some("attribute" | "name" | "alias" | "left")) => {
                let name = self.text(node);
                if DYNAMIC.contains(&name) {
                    self.findings.add(
                        line_of(node),
                        Rule::Dynamic,
                        format!("it uses `{name}`, which runs text as code"),
                    );
                }
                self.look_inside(node, name);
                if let Some(path) = self.aliases.get(name).cloned() {
                    self.look_at_name(node, &path);
                }
            }
            "call" => self.look_at_call(node),
            "string_content" => {
                let text = self.text(node);
                if let Some(place) = named_place(text) {
                    self.findings.add(line_of(node), Rule::Place, format!("it names `{place}`"));
                }
                self.look_inside(node, text);
            }
            "print_statement" | "exec_statement" => {
                self.findings.add(line_of(node), Rule::Syntax, "it is written for Python 2".to_owned());
            }
            _ => {}
        }
    }

    fn look_inside(&mut self, node: Node<'_>, name: &str) {
        if INTERNAL.contains(&name) {
            self.findings.add(line_of(node), Rule::Interpreter, format!("`{name}` leads into the interpreter"));
        }
    }

    fn look_at_name(&mut self, node: Node<'_>, path: &str) {
        if HARMLESS.iter().any(|harmless| path.starts_with(harmless)) {
            return;
        }
        let Some((_, rule, what)) = NAMES.iter().find(|(name, ..)| begins(path, name)) else { return };
        if *rule != Rule::Program {
            self.findings.add(line_of(node), *rule, format!("`{path}` {what}"));
        } else if !self.may_exec {
            let message = format!("`{path}` starts a program, and the plugin does not ask for `exec`");
            self.findings.add(line_of(node), Rule::Program, message);
        }
    }

    /// `getattr(os, "sys" + "tem")`: a name of a module that is put together is meant not to be seen.
    fn look_at_call(&mut self, node: Node<'_>) {
        let function = node.child_by_field_name("function").map(|function| self.text(function));
        let Some(arguments) = node.child_by_field_name("arguments") else { return };
        let (Some(object), name) = (arguments.named_child(0), arguments.named_child(1)) else { return };
        match function {
            Some("getattr" | "setattr" | "delattr") => {
                let Some(path) = self.path(object).filter(|path| is_allowed_module(path) || path == "builtins") else {
                    return;
                };
                // Whoever looks at a loaded module knows it under the name that was imported.
                if !self.aliases.values().any(|known| known.split('.').next() == path.split('.').next()) {
                    return;
                }
                let literal = name.filter(|name| name.kind() == "string").map(|name| self.text(name));
                match literal {
                    Some(literal) => {
                        let name = literal.trim_matches(['"', '\'']);
                        self.look_at_name(node, &format!("{path}.{name}"));
                    }
                    None => {
                        let message = format!("it takes a name out of `{path}` that is put together");
                        self.findings.add(line_of(node), Rule::Dynamic, message);
                    }
                }
            }
            Some("vars" | "dir") if self.path(object).is_some_and(|path| self.aliases.contains_key(path.as_str())) => {
                self.findings.add(line_of(node), Rule::Dynamic, "it goes through the names of a module".to_owned());
            }
            _ => {}
        }
    }
}

/// Whether a dotted name is one of the list: `os.exec` stands for `os.execv`, `sys.path` for itself and what is below.
fn begins(path: &str, name: &str) -> bool {
    let Some(rest) = path.strip_prefix(name) else { return false };
    let is_family =
        name.ends_with('.') || ["os.exec", "os.spawn", "os.posix_spawn", "os.fork", "os.kill"].contains(&name);
    is_family || rest.is_empty() || rest.starts_with('.')
}
