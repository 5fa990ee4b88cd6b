// Package manifest reads the objects of files, folders, kustomizations and stdin, keeps where each field was
// written, and says what cannot be read, with the fix.
package manifest
