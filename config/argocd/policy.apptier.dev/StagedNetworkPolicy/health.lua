-- The health of a StagedNetworkPolicy in Argo CD: docs/gitops.md. It has no status: it is there, and changes nothing.
if obj.metadata.deletionTimestamp ~= nil then
  return {status = "Progressing", message = "It is being removed"}
end
return {status = "Healthy", message = "It is watched, and not enforced"}
