package main

import (
	"net/http"

	"github.com/gin-gonic/gin"
)

// onGin mounts the handler with gin.WrapH. Any covers the requests that are no
// upgrades, which the handler answers as well.
func onGin(channels http.Handler) http.Handler {
	gin.SetMode(gin.ReleaseMode)
	r := gin.New()
	r.Use(gin.Recovery())
	r.Any("/rooms/*path", gin.WrapH(channels))
	r.GET("/healthz", func(c *gin.Context) { c.Status(http.StatusNoContent) })
	return r
}
