// An example: the smallest deployment. `azd env set` provides the values that are read from the environment;
// with `az`, set these variables or write the values here. Bicep names the first one if it is not set.
using './main.bicep'

param allowedApprovers = readEnvironmentVariable('ALLOWED_APPROVERS')
param alertEmails = empty(readEnvironmentVariable('ALERT_EMAIL', ''))
  ? []
  : [readEnvironmentVariable('ALERT_EMAIL', '')]
param mail = 'acs'
param settings = {
  HO_BRAND_CONTACT: 'Ask the operators of this gate.'
}
