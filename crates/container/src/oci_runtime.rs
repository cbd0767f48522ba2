//! Containers by an OCI runtime: runc, crun or youki.
