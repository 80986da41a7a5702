package catalog

import "github.com/hanse-go/hanse/examples/shop/catalog/picture"

// category is a shelf of the shop. Each stands for a harbour that its goods came through.
type category struct {
	id, name, summary, harbour string
	ground                     string // backdrop of its pictures
	goods                      []good
}

// good is one product as the merchant writes it down.
type good struct {
	id, name, summary string
	description       string
	cents             int64
	grams             int32
	origin, unit      string
	tags              []string
	look              picture.Spec
}

// shelves is the whole assortment, in the order in which it is shown.
func shelves() []category {
	return []category{tea(), spices(), larder(), wool(), light(), table(), amber(), deck()}
}
