//! CEL expressions, for what the verbs of a mapping row do not reach.
//!
//! An expression is compiled once, when its table is loaded. CEL always ends, but it has no cost limit: nested macros
//! over a long list take their time. So the source, the nesting and the lists that nested macros may see are bounded.

mod check;

use super::{Fact, Profile, RawAttributes};
use cel::{Context, Env, Program};
use check::{MAX_LEVELS, Walk};
use serde_json::{Map, Value};
use std::sync::{Arc, LazyLock};

/// Octets of source.
const MAX_SOURCE: usize = 2048;
/// Brackets, `?`, `!` and `-`: what nests. The parser descends once for each and has no limit of its own there.
const MAX_NESTING: usize = 48;
/// Macros (`map`, `filter`, `exists` ..) inside each other.
const MAX_MACRO_DEPTH: usize = 2;
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

#[cfg(test)]
mod tests;
