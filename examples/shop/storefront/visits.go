package storefront

import (
	"context"
	"net/http"

	cartv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/cart/v1"
	storefrontv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/storefront/v1"
	"google.golang.org/grpc/metadata"
)

// visits answers the pages' script.
type visits struct {
	storefrontv1.UnimplementedVisitsServer
	carts cartv1.CartsClient
}

// CountCart counts the cart of the session in the call's cookie, which scripts cannot read and the browser sends.
func (v *visits) CountCart(ctx context.Context, _ *storefrontv1.CountCartRequest) (*storefrontv1.CountCartResponse, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	id := session(&http.Request{Header: http.Header{"Cookie": md.Get("cookie")}})
	if id == "" {
		return &storefrontv1.CountCartResponse{}, nil
	}
	reply, err := v.carts.GetCart(ctx, &cartv1.GetCartRequest{Session: id})
	if err != nil {
		return nil, err
	}
	return &storefrontv1.CountCartResponse{Pieces: pieces(reply.GetCart())}, nil
}

// pieces returns how many pieces a cart has.
func pieces(cart *cartv1.Cart) (n int32) {
	for _, item := range cart.GetItems() {
		n += item.GetQuantity()
	}
	return n
}
