package main

import (
	"net/http"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"
)

// onEcho mounts the handler with echo.WrapHandler. Any covers the requests
// that are no upgrades, which the handler answers as well.
func onEcho(channels http.Handler) http.Handler {
	e := echo.New()
	e.Use(middleware.Recover())
	e.Any("/rooms/*", echo.WrapHandler(channels))
	e.GET("/healthz", func(c echo.Context) error { return c.NoContent(http.StatusNoContent) })
	return e
}
