//! Rewrites a checked expression so that it pays for what it does.
//!
//! CEL always ends, but has no cost limit, and the interpreter has no hook. So the compiled tree gets calls of functions
//! that no source can name: [`STEP`] before every element that a macro visits, [`MADE`] around every operation that makes
//! a value or takes time, and the functions of [`super::functions`] in place of those whose result is not bounded by
//! their arguments.

use super::functions::BOUNDED;
use cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedExpr, LiteralValue, operators};

/// `@step()`: true, while something is left.
pub const STEP: &str = "@step";
/// `@made(x)`: x, paid for.
pub const MADE: &str = "@made";

/// Operators that evaluate what they need only, or hand out what is there already.
const UNPAID: &[&str] = &[
    operators::CONDITIONAL,
    operators::LOGICAL_AND,
    operators::LOGICAL_OR,
    operators::LOGICAL_NOT,
    operators::NOT_STRICTLY_FALSE,
    operators::INDEX,
    operators::OPT_INDEX,
    operators::OPT_SELECT,
];

/// The nesting was checked before; this descends as deep.
pub fn meter(node: &mut IdedExpr) {
    match &mut node.expr {
        Expr::Call(call) => {
            call.target.as_deref_mut().into_iter().chain(&mut call.args).for_each(meter);
            if let Some((_, bounded)) = BOUNDED.iter().find(|(name, _)| *name == call.func_name) {
                (*bounded).clone_into(&mut call.func_name);
            }
            if !UNPAID.contains(&call.func_name.as_str()) {
                wrap(node, made);
            }
        }
        Expr::List(list) => list.elements.iter_mut().for_each(copied),
        Expr::Map(map) => map.entries.iter_mut().for_each(|entry| meter_entry(&mut entry.expr)),
        Expr::Struct(object) => object.entries.iter_mut().for_each(|entry| meter_entry(&mut entry.expr)),
        Expr::Select(select) => meter(&mut select.operand),
        Expr::Comprehension(macro_) => {
            meter(&mut macro_.iter_range);
            meter_loop(macro_);
        }
        Expr::Ident(_) | Expr::Literal(_) | Expr::Unspecified => {}
    }
}

/// The forms of `map`, `filter`, `exists`, `all` and `exists_one` stay what they are: the interpreter knows them, and
/// appends in place where it would otherwise copy the list for every element.
fn meter_loop(macro_: &mut ComprehensionExpr) {
    let accumulator = macro_.accu_var.clone();
    let is_accumulator = |node: &IdedExpr| matches!(&node.expr, Expr::Ident(name) if *name == accumulator);
    let step = &mut macro_.loop_step;
    if let Expr::Call(call) = &mut step.expr
        && call.target.is_none()
    {
        match (call.func_name.as_str(), call.args.as_mut_slice()) {
            (operators::LOGICAL_AND | operators::LOGICAL_OR, [first, each]) if is_accumulator(first) => return visited(each),
            (operators::CONDITIONAL, [condition, more, same]) if is_accumulator(same) => {
                visited(condition);
                return appended(more, &is_accumulator);
            }
            (operators::ADD, [first, list]) if is_accumulator(first) => return elements(list, visited),
            _ => {}
        }
    }
    visited(step);
}

/// `@result + [x]` and `@result + 1`, behind a condition that pays for the step.
fn appended(node: &mut IdedExpr, is_accumulator: &impl Fn(&IdedExpr) -> bool) {
    match &mut node.expr {
        Expr::Call(call) if call.func_name == operators::ADD => match call.args.as_mut_slice() {
            [first, list] if is_accumulator(first) => elements(list, copied),
            _ => meter(node),
        },
        _ => meter(node),
    }
}

fn elements(list: &mut IdedExpr, each: fn(&mut IdedExpr)) {
    match &mut list.expr {
        Expr::List(list) => list.elements.iter_mut().for_each(each),
        _ => meter(list),
    }
}

/// `@step() ? @made(x) : null`. Where nothing is left `@step()` fails, and x is not begun.
fn visited(node: &mut IdedExpr) {
    copied(node);
    wrap(node, |node| {
        let step = call(STEP, Vec::new());
        let otherwise = IdedExpr { id: 0, expr: Expr::Literal(LiteralValue::Null) };
        call(operators::CONDITIONAL, vec![step, node, otherwise])
    });
}

/// What is put into a list or map is copied, unless it was made for it.
fn copied(node: &mut IdedExpr) {
    meter(node);
    let is_paid = match &node.expr {
        Expr::Literal(_) => true,
        Expr::Call(call) => call.func_name == MADE,
        _ => false,
    };
    if !is_paid {
        wrap(node, made);
    }
}

fn meter_entry(entry: &mut EntryExpr) {
    match entry {
        EntryExpr::StructField(field) => copied(&mut field.value),
        EntryExpr::MapEntry(entry) => {
            copied(&mut entry.key);
            copied(&mut entry.value);
        }
    }
}

fn made(node: IdedExpr) -> IdedExpr {
    call(MADE, vec![node])
}

fn call(name: &str, args: Vec<IdedExpr>) -> IdedExpr {
    IdedExpr { id: 0, expr: Expr::Call(CallExpr { func_name: name.to_owned(), target: None, args }) }
}

fn wrap(node: &mut IdedExpr, wrapper: impl FnOnce(IdedExpr) -> IdedExpr) {
    let inner = std::mem::take(node);
    *node = wrapper(inner);
}
