// Approvers sign in with Entra; any approver of a domain.
using '../main.bicep'

param allowedApprovers = '*@example.com'
param identity = 'entra'
param entraClientId = '22222222-3333-4444-5555-666666666666'
param entraTenant = '22222222-3333-4444-5555-777777777777'
