// Package scene is what a command of the plugin looks at: manifests, a cluster, or manifests as they would be in a
// cluster. It finds the ends of connections there, and the policies of AppTiers.
package scene
