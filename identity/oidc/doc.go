// Package oidc lets in calls that are made for a user, and says for whom: it verifies the JSON Web Tokens (JWT) of an OpenID Connect
// issuer that clients send as "authorization: Bearer TOKEN".
//
//	users := &oidc.Verifier{Issuer: "https://login.example.com", Audience: []string{"shop"}}
//	svc.UnaryInterceptors = []grpc.UnaryServerInterceptor{users.UnaryInterceptor}
//	svc.StreamInterceptors = []grpc.StreamServerInterceptor{users.StreamInterceptor}
//	svc.Check("issuer", users.Ready)
//
// A handler asks for the user:
//
//	user, ok := oidc.FromContext(ctx) // user.Subject, user.Claims(&mine)
//
// [Forward] passes the token on to the services that the handler calls. Which service calls is another question, and [identity.Caller]
// answers it.
package oidc
