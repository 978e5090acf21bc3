//! CEL expressions, for what the verbs of a mapping row do not reach.
//!
//! An expression is compiled once, when its table is loaded. CEL always ends, but it has no cost limit: nested macros
//! over a long list take their time. So the source, the nesting and the lists that nested macros may see are bounded.

use super::{Fact, Profile, RawAttributes};
use cel::common::ast::{EntryExpr, Expr, IdedExpr};
use cel::{Context, Env, Program};
use serde_json::{Map, Value};
use std::sync::{Arc, LazyLock};

/// Octets of source.
const MAX_SOURCE: usize = 2048;
/// Brackets, `?`, `!` and `-`: what nests. The parser descends once for each and has no limit of its own there.
const MAX_NESTING: usize = 48;
/// Macros (`map`, `filter`, `exists` ..) inside each other.
const MAX_MACRO_DEPTH: usize = 2;
/// Levels of the parsed expression, since evaluating it descends too.
const MAX_LEVELS: usize = 24;
const PARSER_STACK: usize = 64 << 20;
/// Values that an expression with nested macros may see.
const MAX_VALUES_FOR_NESTED: usize = 500;

/// A compiled expression.
#[derive(Debug)]
pub struct Expression {
    program: Program,
    macro_depth: usize,
}

impl Expression {
    /// Compiles an expression that may use the named variables. The error says what is wrong.
    pub fn compile(source: &str, variables: &[&str]) -> Result<Self, String> {
        if source.len() > MAX_SOURCE {
            return Err(format!("the expression is longer than {MAX_SOURCE} octets"));
        }
        if source.matches(['(', '[', '{', '?', '!', '-']).count() > MAX_NESTING {
            return Err(format!("the expression has more than {MAX_NESTING} brackets and operators that nest"));
        }
        let program = parse(source)?;
        let mut walk = Walk { scope: variables.to_vec(), macro_depth: 0, level: 0, too_deep: false, unknown: None };
        walk.visit(program.expression(), 0);
        if walk.too_deep {
            return Err(format!("the expression is more than {MAX_LEVELS} levels deep"));
        }
        if walk.macro_depth > MAX_MACRO_DEPTH {
            return Err(format!("macros are nested more than {MAX_MACRO_DEPTH} deep"));
        }
        if let Some(name) = walk.unknown {
            return Err(format!("`{name}` is not known here; there is {}", variables.join(", ")));
        }
        Ok(Self { macro_depth: walk.macro_depth, program })
    }

    /// The value, or why there is none. The reason may quote values: it is for the login trace, not for the browser.
    pub fn evaluate(&self, scope: &Scope) -> Result<Value, String> {
        if self.macro_depth > 1 && scope.values > MAX_VALUES_FOR_NESTED {
            return Err(format!("nested macros are not run over more than {MAX_VALUES_FOR_NESTED} values"));
        }
        let result = self.program.execute(&scope.context).map_err(|error| error.to_string())?;
        result.json().map_err(|_| "the result has no JSON form".to_owned())
    }
}

/// The variables of one mapping run.
pub struct Scope {
    context: Context<'static, 'static>,
    values: usize,
}

impl Scope {
    /// `attributes`: a map from names (and friendly names) to lists; `facts`: a map to texts.
    pub fn of_attributes(raw: &RawAttributes) -> Self {
        let mut attributes: Map<String, Value> = Map::new();
        let mut friendly: Map<String, Value> = Map::new();
        for attribute in raw.attributes() {
            append(&mut attributes, &attribute.name, &attribute.values);
            if let Some(name) = &attribute.friendly_name {
                append(&mut friendly, name, &attribute.values);
            }
        }
        for (name, values) in friendly {
            attributes.entry(name).or_insert(values);
        }
        let facts = Fact::ALL.iter().filter_map(|(name, fact)| Some(((*name).to_owned(), Value::from(raw.fact(*fact)?)))).collect();
        Self::new([("attributes", attributes), ("facts", facts)])
    }

    /// `profile`: the profile as it is.
    pub fn of_profile(profile: &Profile) -> Self {
        Self::new([("profile", profile.as_map().clone())])
    }

    fn new<const N: usize>(variables: [(&str, Map<String, Value>); N]) -> Self {
        let mut context = Context::with_env(Arc::clone(&ENV));
        let mut values = 0;
        for (name, map) in variables {
            let map = Value::Object(map);
            values += count(&map);
            context.add_variable_from_value(name, cel::to_value(&map).unwrap_or(cel::Value::Null));
        }
        Self { context, values }
    }
}

/// Names of the variables in each direction.
pub const ATTRIBUTE_VARIABLES: &[&str] = &["attributes", "facts"];
pub const PROFILE_VARIABLES: &[&str] = &["profile"];

static ENV: LazyLock<Arc<Env>> = LazyLock::new(|| {
    let mut env = Env::stdlib();
    // Fails only for a function that is declared twice, and then the functions of the extension are missing.
    let _ = env.add_extension(cel::extensions::strings);
    Arc::new(env)
});

/// Parses on a stack of its own: the generated parser takes tens of kilobytes for one bracket in a debug build.
fn parse(source: &str) -> Result<Program, String> {
    let compile = || {
        ENV.compile(source).map_err(|errors| {
            let text = errors.to_string();
            text.lines().next().unwrap_or("it is no CEL expression").to_owned()
        })
    };
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(PARSER_STACK).spawn_scoped(scope, compile);
        thread.ok().and_then(|thread| thread.join().ok()).unwrap_or_else(|| Err("the expression cannot be parsed".to_owned()))
    })
}

fn append(map: &mut Map<String, Value>, name: &str, values: &[Value]) {
    if let Value::Array(list) = map.entry(name).or_insert_with(|| Value::Array(Vec::new())) {
        list.extend_from_slice(values);
    }
}

fn count(value: &Value) -> usize {
    match value {
        Value::Array(items) => items.iter().map(count).sum(),
        Value::Object(map) => map.values().map(count).sum(),
        _ => 1,
    }
}

/// Finds the deepest nesting of macros, and a name that is no variable.
struct Walk<'e> {
    scope: Vec<&'e str>,
    macro_depth: usize,
    level: usize,
    too_deep: bool,
    unknown: Option<&'e str>,
}

impl<'e> Walk<'e> {
    fn visit(&mut self, node: &'e IdedExpr, depth: usize) {
        self.macro_depth = self.macro_depth.max(depth);
        if self.level >= MAX_LEVELS {
            self.too_deep = true;
            return;
        }
        self.level += 1;
        self.visit_inner(node, depth);
        self.level -= 1;
    }

    fn visit_inner(&mut self, node: &'e IdedExpr, depth: usize) {
        match &node.expr {
            Expr::Ident(name) => {
                let known = self.scope.contains(&name.as_str()) || TYPES.contains(&name.as_str()) || name.starts_with('@');
                if !known {
                    self.unknown.get_or_insert(name);
                }
            }
            Expr::Call(call) => {
                for inner in call.target.as_deref().into_iter().chain(&call.args) {
                    self.visit(inner, depth);
                }
            }
            Expr::List(list) => list.elements.iter().for_each(|inner| self.visit(inner, depth)),
            Expr::Select(select) => self.visit(&select.operand, depth),
            Expr::Map(map) => map.entries.iter().for_each(|entry| self.visit_entry(&entry.expr, depth)),
            Expr::Struct(object) => object.entries.iter().for_each(|entry| self.visit_entry(&entry.expr, depth)),
            Expr::Comprehension(inner) => {
                self.visit(&inner.iter_range, depth);
                let outside = self.scope.len();
                self.scope.extend([inner.iter_var.as_str(), inner.accu_var.as_str()]);
                self.scope.extend(inner.iter_var2.as_deref());
                for part in [&inner.accu_init, &inner.loop_cond, &inner.loop_step, &inner.result] {
                    self.visit(part, depth + 1);
                }
                self.scope.truncate(outside);
            }
            Expr::Literal(_) | Expr::Unspecified => {}
        }
    }

    fn visit_entry(&mut self, entry: &'e EntryExpr, depth: usize) {
        match entry {
            EntryExpr::StructField(field) => self.visit(&field.value, depth),
            EntryExpr::MapEntry(entry) => {
                self.visit(&entry.key, depth);
                self.visit(&entry.value, depth);
            }
        }
    }
}

/// Names that CEL itself knows.
const TYPES: &[&str] = &["bool", "int", "uint", "double", "string", "bytes", "list", "map", "null_type", "type", "google"];

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn scope() -> Scope {
        let mut raw = RawAttributes::new();
        raw.push_texts("givenName", ["Jane"]);
        raw.push_texts("sn", ["Doe"]);
        raw.push_texts("memberOf", ["CN=Admins", "CN=Staff"]);
        raw.set_fact(Fact::NameId, "jane@acme.example");
        Scope::of_attributes(&raw)
    }

    fn run(source: &str) -> Result<Value, String> {
        Expression::compile(source, ATTRIBUTE_VARIABLES)?.evaluate(&scope())
    }

    #[test]
    fn expressions_see_attributes_and_facts() {
        assert_eq!(run(r#"attributes.givenName[0] + " " + attributes.sn[0]"#), Ok(json!("Jane Doe")));
        assert_eq!(run(r#"attributes["memberOf"].filter(g, g.startsWith("CN=A"))"#), Ok(json!(["CN=Admins"])));
        assert_eq!(run("facts.name_id.split('@')[1]"), Ok(json!("acme.example")));
        assert_eq!(run("has(attributes.mail) ? attributes.mail[0] : facts.name_id"), Ok(json!("jane@acme.example")));
        assert_eq!(run("'x'.upperAscii()"), Ok(json!("X")));
    }

    #[test]
    fn hostile_and_mistaken_sources_are_refused_at_load() {
        let deep = "attributes.a.map(x, attributes.a.map(y, attributes.a.map(z, x)))";
        for source in [
            "",
            "attributes.",
            "atributes.mail[0]",
            "x",
            deep,
            &"(".repeat(2000),
            &"[".repeat(2000),
            &"!".repeat(2040),
            &format!("'{}'", "x".repeat(3000)),
            &"a.map(x,".repeat(200),
            &format!("{}1{}", "(".repeat(2000), ")".repeat(20)),
            &format!("{}1{}", "(".repeat(40), ")".repeat(39)),
            &"1+".repeat(1000),
            &format!("attributes{}", ".a".repeat(900)),
            &format!("1{}", "+1".repeat(900)),
            &format!("true{}", "||x".repeat(600)),
            &format!("1{}", " in 1".repeat(400)),
            &"true?true:".repeat(200),
            &"-".repeat(1000),
            "\u{0}",
        ] {
            assert!(Expression::compile(source, ATTRIBUTE_VARIABLES).is_err(), "{source}");
        }
    }

    #[test]
    fn the_deepest_expressions_that_load_also_run() {
        for (start, more, end) in [("1", "+1", ""), ("facts.issuer", ".x", ""), ("", "[", ""), ("", "!", "true"), ("true", "&&true", "")] {
            let longest = (1..200).rev().find_map(|n| {
                let close = if more == "[" { "]".repeat(n) } else { String::new() };
                Expression::compile(&format!("{start}{}{end}{close}", more.repeat(n)), ATTRIBUTE_VARIABLES).ok()
            });
            let _ = longest.expect("some depth is accepted").evaluate(&scope());
        }
    }

    #[test]
    fn failures_at_run_time_are_errors_not_panics() {
        for source in [
            "attributes.missing[0]",
            "attributes.givenName[7]",
            "attributes.givenName[-1]",
            "1 / 0",
            "9223372036854775807 + 1",
            "attributes.givenName + 1",
            "facts.name_id.substring(99)",
            "'x'.matches('(')",
            "int('x')",
        ] {
            assert!(run(source).is_err(), "{source}");
        }
    }

    #[test]
    fn nested_macros_do_not_run_over_long_lists() {
        let mut raw = RawAttributes::new();
        let many: Vec<String> = (0..501).map(|n| n.to_string()).collect();
        raw.push_texts("g", many.iter().map(String::as_str));
        let nested = Expression::compile("attributes.g.filter(a, attributes.g.exists(b, a == b))", ATTRIBUTE_VARIABLES).expect("compiles");
        assert!(nested.evaluate(&Scope::of_attributes(&raw)).is_err());
        let flat = Expression::compile("attributes.g.filter(a, a == '7')", ATTRIBUTE_VARIABLES).expect("compiles");
        assert_eq!(flat.evaluate(&Scope::of_attributes(&raw)), Ok(json!(["7"])));
    }
}
