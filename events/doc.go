// Package events carries typed events between services: durable, shared by groups, at least once.
package events
