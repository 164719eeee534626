package main

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync/atomic"
)

// This file is what clients see: the page, a load balancer before the nodes, and
// the switches of the nodes.

// control is a header that a page of another origin cannot send.
const control = "Cluster-Control"

func front(ns *nodes) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /{$}", page())
	mux.Handle("/visit", balance(ns))
	mux.HandleFunc("GET /nodes", func(w http.ResponseWriter, _ *http.Request) {
		states := make([]nodeState, 0, len(ns.all))
		for _, n := range ns.all {
			states = append(states, n.state())
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		_ = json.NewEncoder(w).Encode(states) // the page may be gone
	})
	mux.HandleFunc("POST /nodes/{name}/{do}", func(w http.ResponseWriter, r *http.Request) {
		n, do := ns.named(r.PathValue("name")), r.PathValue("do")
		switch {
		case r.Header.Get(control) == "":
			http.Error(w, "the request has no field "+control, http.StatusForbidden)
		case n == nil:
			http.Error(w, "there is no such node", http.StatusNotFound)
		case do == "kill":
			n.kill()
			w.WriteHeader(http.StatusNoContent)
		case do == "start":
			if err := n.start(); err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
			w.WriteHeader(http.StatusNoContent)
		default:
			http.Error(w, "a node can be told to kill and start", http.StatusNotFound)
		}
	})
	return mux
}

// balance sends each connection to the next node that is up. A client that has
// lost its node comes back, and gets another one.
func balance(ns *nodes) http.Handler {
	var turn atomic.Uint64
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetXForwarded()
			if n := r.In.Context().Value(nodeKey{}); n != nil {
				r.SetURL(&url.URL{Scheme: "http", Host: n.(*node).config.Web})
			}
			r.Out.Host = r.In.Host // the origin is that of the page
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			if !errors.Is(err, http.ErrAbortHandler) {
				w.WriteHeader(http.StatusBadGateway) // the node has just died: clients try again
			}
		},
		FlushInterval: -1, // events are passed on as they come
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for range ns.all {
			if n := ns.all[turn.Add(1)%uint64(len(ns.all))]; n.state().State == "up" {
				proxy.ServeHTTP(w, r.WithContext(withNode(r.Context(), n)))
				return
			}
		}
		w.Header().Set("Retry-After", "1")
		http.Error(w, "no node is up", http.StatusServiceUnavailable)
	})
}
