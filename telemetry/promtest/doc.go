// Package promtest reads what /metrics shows with Prometheus' own parsers and lint rules. It is a module of its own, so that nobody else
// has to fetch them.
package promtest
