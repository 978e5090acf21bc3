//! CEL expressions, for what the verbs of a mapping row do not reach.
//!
//! An expression is compiled once, when its table is loaded; there its length and its nesting are bounded. When it runs,
//! it pays from the [`Budget`] of the mapping run: `meter.rs` rewrites it so that it does, and names the functions that could
//! do much with little after our own bounded ones.

mod budget;
mod check;
mod functions;
mod meter;
mod value;

use super::{Fact, Profile, RawAttribute, RawAttributes};
use budget::Budget;
use cel::common::ast::IdedExpr;
use cel::common::value::{CowVal, Val};
use cel::{Context, Env, ExecutionError, FunctionContext};
use check::{MAX_LEVELS, Walk};
use serde_json::Value;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

/// Octets of source.
const MAX_SOURCE: usize = 2048;
/// Brackets, `?`, `!` and `-`: what nests. The parser descends once for each and has no limit of its own there.
const MAX_NESTING: usize = 48;
/// Macros (`map`, `filter`, `exists` ..) inside each other.
const MAX_MACRO_DEPTH: usize = 2;
const PARSER_STACK: usize = 64 << 20;
/// Characters of the reason for a failure: the interpreter quotes whole values.
const MAX_REASON: usize = 300;

/// A compiled expression.
#[derive(Clone, Debug)]
pub struct Expression {
    tree: IdedExpr,
    members: Vec<String>,
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
        let mut tree = parse(source)?;
        let scope = variables.to_vec();
        let mut walk =
            Walk { variables: scope.len(), scope, macro_depth: 0, level: 0, too_deep: false, unknown: None, members: Vec::new() };
        walk.visit(&tree, 0);
        if walk.too_deep {
            return Err(format!("the expression is more than {MAX_LEVELS} levels deep"));
        }
        if walk.macro_depth > MAX_MACRO_DEPTH {
            return Err(format!("macros are nested more than {MAX_MACRO_DEPTH} deep"));
        }
        if let Some(name) = walk.unknown {
            return Err(format!("`{name}` is not known here; there is {}", variables.join(", ")));
        }
        let members = walk.members;
        meter::meter(&mut tree);
        Ok(Self { tree, members })
    }

    /// Names of the members of variables that it reads: `email` for `profile.email`.
    pub fn members(&self) -> &[String] {
        &self.members
    }

    /// The value, or why there is none. The reason may quote values: it is for the login trace, not for the browser.
    pub fn evaluate(&self, scope: &Scope<'_>) -> Result<Value, String> {
        scope.budget.begin()?;
        let result = scope.context.resolve(&self.tree);
        // First, since `x || y` does without an x that failed.
        scope.budget.check()?;
        let result = result.map_err(|error| shown(&error))?;
        result.json().map_err(|_| "the result has no JSON form".to_owned())
    }
}

/// The variables of one mapping run, and what its expressions may still spend.
pub struct Scope<'v> {
    context: Context<'v, 'v>,
    budget: Arc<Budget>,
}

impl<'v> Scope<'v> {
    /// `attributes`: a map from names (and friendly names) to lists; `facts`: a map to texts.
    pub fn of_attributes(raw: &'v RawAttributes) -> Self {
        Self::new(attribute_variables(raw), budget::TIME)
    }

    /// `profile`: the profile as it is.
    pub fn of_profile(profile: &'v Profile) -> Self {
        let members = profile.as_map().iter().map(|(name, member)| (name.as_str(), value::value(member)));
        Self::new([("profile", value::map(members))], budget::TIME)
    }

    fn new(variables: impl IntoIterator<Item = (&'static str, Box<dyn Val + 'v>)>, time: Duration) -> Self {
        let mut context = Context::with_env(Arc::clone(&ENV));
        let budget = Arc::new(Budget::new(time));
        let (steps, made) = (Arc::clone(&budget), Arc::clone(&budget));
        // Fails only for a name that is taken, and no source can spell these; without them nothing evaluates.
        let _ = context.add_function(meter::STEP, move || steps.step().map(|()| true).map_err(|why| paid_out(&why)));
        let pay: Function = Box::new(move |call| {
            let value = call.args.pop().ok_or_else(|| paid_out("nothing was made"))?;
            made.take(functions::size(value.as_ref())).map(|()| value).map_err(|why| paid_out(&why))
        });
        let _ = context.add_function(meter::MADE, pay);
        for (name, variable) in variables {
            context.add_variable_as_val(name, variable);
        }
        Self { context, budget }
    }
}

fn attribute_variables(raw: &RawAttributes) -> [(&'static str, Box<dyn Val + '_>); 2] {
    let mut named: HashMap<&str, Vec<&RawAttribute>> = HashMap::new();
    let mut friendly: HashMap<&str, Vec<&RawAttribute>> = HashMap::new();
    for attribute in raw.attributes() {
        named.entry(&attribute.name).or_default().push(attribute);
        if let Some(name) = &attribute.friendly_name {
            friendly.entry(name).or_default().push(attribute);
        }
    }
    friendly.retain(|name, _| !named.contains_key(name));
    let lists = named.iter().chain(&friendly).map(|(name, attributes)| (*name, value::list(attributes.iter().flat_map(|a| &a.values))));
    let facts = Fact::ALL.iter().filter_map(|(name, fact)| Some((*name, value::text(raw.fact(*fact)?))));
    [("attributes", value::map(lists)), ("facts", value::map(facts))]
}

/// A function that hands back its argument without copying it.
type Function = Box<dyn for<'c, 'v> Fn(&mut FunctionContext<'c, 'v>) -> Result<CowVal<'c, 'v>, ExecutionError> + Send + Sync>;

fn paid_out(why: &str) -> ExecutionError {
    ExecutionError::function_error("budget", why)
}

/// Without the marks of our own functions, and not longer than a trace needs.
fn shown(error: &ExecutionError) -> String {
    let text = error.to_string().replace("'@", "'");
    match text.char_indices().nth(MAX_REASON) {
        Some((end, _)) => format!("{}..", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

/// Names of the variables in each direction.
pub const ATTRIBUTE_VARIABLES: &[&str] = &["attributes", "facts"];
pub const PROFILE_VARIABLES: &[&str] = &["profile"];

static ENV: LazyLock<Arc<Env>> = LazyLock::new(|| {
    let mut env = Env::stdlib();
    // Fails only for a function that is declared twice, and then the functions of the extension are missing.
    let _ = env.add_extension(cel::extensions::strings);
    let _ = functions::declare(&mut env);
    Arc::new(env)
});

/// Parses on a stack of its own: the generated parser takes tens of kilobytes for one bracket in a debug build.
fn parse(source: &str) -> Result<IdedExpr, String> {
    let compile = || {
        ENV.compile(source).map(|program| program.expression().clone()).map_err(|errors| {
            let text = errors.to_string();
            text.lines().next().unwrap_or("it is no CEL expression").to_owned()
        })
    };
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(PARSER_STACK).spawn_scoped(scope, compile);
        thread.ok().and_then(|thread| thread.join().ok()).unwrap_or_else(|| Err("the expression cannot be parsed".to_owned()))
    })
}

#[cfg(test)]
mod tests;
