@echo off
rem Put it into PATH beside the plugin: kubectl asks it to complete the words of the plugin.
kubectl-apptier.exe __complete %*
