//! Classic groups: the members choose a leader, who makes the assignment.
