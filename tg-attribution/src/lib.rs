//! Why each connection of a run was lost: the run's records, what observers saw on nodes and what the cluster
//! did, joined into verdicts. Pure: journals in, [`RunVerdict`](tg_model::verdict::RunVerdict) out.
