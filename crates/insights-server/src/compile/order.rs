//! Which command may follow which.

use crate::ast::{Command, CommandKind};
use crate::malformed::{Parsed, refuse};

/// Where the reference leaves the meaning of an order open, the order is refused.
pub(super) fn check_order(commands: &[Command]) -> Parsed<()> {
    let is_stats = |command: &Command| matches!(command.kind, CommandKind::Stats { .. });
    let last_stats = commands.iter().rposition(is_stats);
    let (mut sorted, mut limited, mut estimated) = (false, false, false);
    for (at, command) in commands.iter().enumerate() {
        if estimated {
            return refuse(command.span, "estimate must be the last command");
        }
        let before_stats = last_stats.is_some_and(|last| at < last);
        match command.kind {
            CommandKind::Sort(_) | CommandKind::Limit(_) if before_stats => {
                return refuse(command.span, "sort and limit must come after the last stats command");
            }
            CommandKind::Sort(_) if sorted || limited => {
                return refuse(command.span, "one sort is known here, and it comes before limit");
            }
            CommandKind::Sort(_) => sorted = true,
            CommandKind::Limit(_) if limited => {
                return refuse(command.span, "a query can have one limit");
            }
            CommandKind::Limit(_) => limited = true,
            CommandKind::Estimate => estimated = true,
            CommandKind::Display(_) => {}
            _ if sorted || limited => {
                return refuse(
                    command.span,
                    "only limit, display and estimate are known here after sort and limit",
                );
            }
            _ => {}
        }
    }
    Ok(())
}
