//! What can be told of an expression before it runs.

use cel::common::ast::{EntryExpr, Expr, IdedExpr};

/// Levels of the parsed expression, since evaluating it descends too.
pub const MAX_LEVELS: usize = 24;

/// Finds the deepest nesting of macros, and a name that is no variable.
pub struct Walk<'e> {
    pub scope: Vec<&'e str>,
    pub macro_depth: usize,
    pub level: usize,
    pub too_deep: bool,
    pub unknown: Option<&'e str>,
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
