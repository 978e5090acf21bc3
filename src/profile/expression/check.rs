//! What can be told of an expression before it runs.

use cel::common::ast::{CallExpr, EntryExpr, Expr, IdedExpr, LiteralValue, operators};

/// Levels of the parsed expression, since evaluating it descends too.
pub const MAX_LEVELS: usize = 24;

/// Finds the deepest nesting of macros, a name that is no variable, and which members of variables are read.
pub struct Walk<'e> {
    /// The variables, and behind them those of the macros around.
    pub scope: Vec<&'e str>,
    pub variables: usize,
    pub macro_depth: usize,
    pub level: usize,
    pub too_deep: bool,
    pub unknown: Option<&'e str>,
    /// `email` of `profile.email` and of `profile["email"]`.
    pub members: Vec<String>,
}

impl<'e> Walk<'e> {
    pub fn visit(&mut self, node: &'e IdedExpr, depth: usize) {
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
                if let Some((IdedExpr { expr: Expr::Ident(variable), .. }, member)) = indexed(call)
                    && self.is_outer(variable)
                {
                    self.members.push(member.to_owned());
                }
                for inner in call.target.as_deref().into_iter().chain(&call.args) {
                    self.visit(inner, depth);
                }
            }
            Expr::List(list) => list.elements.iter().for_each(|inner| self.visit(inner, depth)),
            Expr::Select(select) => {
                if matches!(&select.operand.expr, Expr::Ident(variable) if self.is_outer(variable)) {
                    self.members.push(select.field.clone());
                }
                self.visit(&select.operand, depth);
            }
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

    /// A variable of the expression, and not of a macro.
    fn is_outer(&self, name: &str) -> bool {
        self.scope.iter().rposition(|known| *known == name).is_some_and(|place| place < self.variables)
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

/// What is indexed by a text that stands there.
fn indexed(call: &CallExpr) -> Option<(&IdedExpr, &str)> {
    let is_index = [operators::INDEX, operators::OPT_INDEX, operators::OPT_SELECT].contains(&call.func_name.as_str());
    match call.args.as_slice() {
        [value, IdedExpr { expr: Expr::Literal(LiteralValue::String(name)), .. }] if is_index => Some((value, name.inner())),
        _ => None,
    }
}

/// Names that CEL itself knows.
const TYPES: &[&str] = &["bool", "int", "uint", "double", "string", "bytes", "list", "map", "null_type", "type", "google"];
