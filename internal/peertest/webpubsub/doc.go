// Package webpubsub holds the tests of transport/webpubsub with Microsoft's own
// packages for Azure Web PubSub: the service is played by the stand-in beside it,
// which is proven against them first. They are written in JavaScript, in js.
package webpubsub
