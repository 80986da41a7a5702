package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hanse-go/hanse/examples/internal/nodetest"
	cartv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/cart/v1"
	catalogv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/catalog/v1"
	checkoutv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/checkout/v1"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
)

// TestConnectNode buys something with Connect's client for Node, in all the ways that it has of calling.
func TestConnectNode(t *testing.T) {
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("testdata", "connect-node"))); err != nil {
		t.Fatal(err)
	}
	node := nodetest.Packages(t, dir, "Connect's client for Node")
	contracts := filepath.Join(dir, "contracts.protoset")
	writeDescriptors(t, contracts, catalogv1.File_shop_catalog_v1_catalog_proto, cartv1.File_shop_cart_v1_cart_proto,
		checkoutv1.File_shop_checkout_v1_checkout_proto, errdetails.File_google_rpc_error_details_proto)
	url := serve(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, node, filepath.Join(dir, "client.js"), url, contracts).CombinedOutput()
	if got := strings.Count(string(out), "ok "); err != nil || got != 12 {
		t.Errorf("%d of 12 ways, %v\n%s", got, err, out)
	}
}

// writeDescriptors writes the files and all that they import, each after what it imports.
func writeDescriptors(t *testing.T, path string, files ...protoreflect.FileDescriptor) {
	t.Helper()
	set := &descriptorpb.FileDescriptorSet{}
	seen := map[string]bool{}
	var add func(protoreflect.FileDescriptor)
	add = func(f protoreflect.FileDescriptor) {
		if seen[f.Path()] {
			return
		}
		seen[f.Path()] = true
		for i := range f.Imports().Len() {
			add(f.Imports().Get(i).FileDescriptor)
		}
		set.File = append(set.File, protodesc.ToFileDescriptorProto(f))
	}
	for _, f := range files {
		add(f)
	}
	data, err := proto.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}
