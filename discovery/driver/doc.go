// Package driver is for who writes a registry over an engine: what such registries have in common.
//
//   - [Shared] watches each service once, however many watch it here.
//   - [View] and [SplitView] are what is known of a service; in a view, instances stay while it is in doubt whether they are gone.
//   - [Keep] keeps an instance announced, given a [Keeper], which knows how the engine does it.
//   - [Renewals] does that for an engine that is told from time to time that an instance lives, given a [Renewer].
//   - [Ask], [Read], [StatusError], [Client] and [Outage] are for engines that are asked over HTTP.
//
// The suite that a registry passes is package discoverytest.
package driver
