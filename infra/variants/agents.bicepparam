// Approvers sign in with Entra; agents have an identity of it, and those that have none a function key.
using '../main.bicep'

param allowedApprovers = '*@example.com'
param identity = 'entra'
param agentIdentity = 'both'
param entraClientId = '22222222-3333-4444-5555-666666666666'
param entraTenant = '22222222-3333-4444-5555-777777777777'
