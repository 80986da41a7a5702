// Package dashboard is the web page that shows a running system: a map of its calls, its traces, logs and metrics, a console, and what
// can be done to its services.
//
//	d := &dashboard.Server{Collector: c, System: system, Token: token}
//	go d.Run(ctx, lis)
//	fmt.Println("dashboard:", d.Link(lis.Addr()))
//
// The page is embedded; it fetches nothing from elsewhere. Who opens the printed link is let in by the token in it, and stays so by a
// cookie. See web/README.md for how a page is added.
package dashboard
