-- The health of an AppTier in Argo CD: docs/gitops.md. Degraded fails a sync at once, so it is only what does not heal by
-- itself; what waits for another object, or is tried again, is Progressing.
local conditions = {}
if obj.status ~= nil and obj.status.conditions ~= nil then
  for _, condition in ipairs(obj.status.conditions) do
    conditions[condition.type] = condition
  end
end

if obj.metadata.deletionTimestamp ~= nil then
  return {status = "Progressing", message = "Its policies are being removed"}
end
local ready = conditions["Ready"]
if ready == nil or obj.status.observedGeneration ~= obj.metadata.generation then
  return {status = "Progressing", message = "The manager has not seen it as it is now"}
end
local accepted = conditions["Accepted"]
if accepted ~= nil and accepted.status == "False" then
  return {status = "Degraded", message = accepted.message}
end
if ready.status ~= "True" then
  local message = ready.message
  local refs = conditions["ResolvedRefs"]
  if refs ~= nil and refs.status == "False" then
    message = refs.message
  end
  if ready.reason == "UnsupportedRef" then
    return {status = "Degraded", message = message}
  end
  return {status = "Progressing", message = message}
end
-- No failure: it is in force as it was written, and an exception was given a reason for.
local conflicted = conditions["Conflicted"]
if conflicted ~= nil and conflicted.status == "True" then
  return {status = "Healthy", message = conflicted.message}
end
return {status = "Healthy", message = ready.message}
