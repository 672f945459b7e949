"""Tasks for recovery_ha's flows that send mails and keep accounts."""
