# Recorded as estate.json with Terraform 1.11.4 and the AWS provider 5.100.0, by `terraform plan -refresh=false -out tfplan` and
# `terraform show -json tfplan`, without planned values, prior state and IAM roles. The module is estate-db.tf. It needs no account.
terraform {
  required_providers {
    aws = { source = "hashicorp/aws", version = "5.100.0" }
  }
}

variable "region" { default = "eu-west-1" }
variable "secret" {
  default   = "hunter2-secret"
  sensitive = true
}

provider "aws" {
  region                      = var.region
  access_key                  = "test"
  secret_key                  = "test"
  skip_credentials_validation = true
  skip_requesting_account_id  = true
  skip_metadata_api_check     = true
  default_tags { tags = { team = "orders" } }
}

provider "aws" {
  alias                       = "dr"
  region                      = "eu-central-1"
  access_key                  = "test"
  secret_key                  = "test"
  skip_credentials_validation = true
  skip_requesting_account_id  = true
  skip_metadata_api_check     = true
}

module "db" {
  source   = "./db"
  for_each = toset(["orders", "billing"])
  name     = each.key
  password = var.secret
}

resource "aws_dynamodb_table" "t" {
  name         = "t"
  billing_mode = "PAY_PER_REQUEST"
  hash_key     = "id"
  attribute {
    name = "id"
    type = "S"
  }
  replica { region_name = "us-east-1" }
  tags = { backup = "daily" }
}

resource "aws_s3_bucket" "b" {
  count = 2
  tags  = { backup = terraform_data.x.output }
}
resource "terraform_data" "x" { input = "daily" }

resource "aws_ebs_volume" "v" {
  availability_zone = "eu-west-1a"
  size              = 1
  tags              = { backup = "daily", secret = var.secret }
}
resource "aws_instance" "i" {
  ami           = "ami-12345678"
  instance_type = "t3.micro"
  volume_tags   = { backup = "daily" }
}
resource "aws_instance" "j" {
  ami           = "ami-12345678"
  instance_type = "t3.micro"
  root_block_device { tags = { backup = "daily" } }
  ebs_block_device {
    device_name = "/dev/sdf"
    volume_size = 1
  }
}
resource "aws_efs_file_system" "e" {
  tags = { Name = "e" }
}
resource "aws_efs_backup_policy" "e" {
  file_system_id = aws_efs_file_system.e.id
  backup_policy { status = "ENABLED" }
}
resource "aws_fsx_lustre_file_system" "l" {
  storage_capacity = 1200
  subnet_ids       = ["subnet-1"]
}
resource "aws_backup_vault" "main" { name = "main" }
resource "aws_backup_vault" "dr" {
  provider = aws.dr
  name     = "dr"
}
resource "aws_backup_vault_lock_configuration" "main" {
  backup_vault_name   = aws_backup_vault.main.name
  min_retention_days  = 7
  max_retention_days  = 400
  changeable_for_days = 3
}
resource "aws_backup_vault_policy" "main" {
  backup_vault_name = aws_backup_vault.main.name
  policy            = jsonencode({ Version = "2012-10-17", Statement = [{ Effect = "Deny", Principal = "*", Action = "backup:DeleteRecoveryPoint", Resource = "*" }] })
}
resource "aws_backup_logically_air_gapped_vault" "lag" {
  name               = "lag"
  min_retention_days = 7
  max_retention_days = 35
}
resource "aws_backup_plan" "daily" {
  name = "daily"
  rule {
    rule_name                = "daily"
    target_vault_name        = aws_backup_vault.main.name
    schedule                 = "cron(0 5 * * ? *)"
    enable_continuous_backup = false
    lifecycle {
      cold_storage_after = 30
      delete_after       = 120
    }
    copy_action {
      destination_vault_arn = aws_backup_vault.dr.arn
      lifecycle { delete_after = 35 }
    }
  }
  rule {
    rule_name         = "weekly"
    target_vault_name = "main"
  }
}
data "aws_iam_policy_document" "d" {
  statement { actions = ["sts:AssumeRole"] }
}
resource "aws_iam_role" "r" {
  name               = "r"
  assume_role_policy = data.aws_iam_policy_document.d.json
}
resource "aws_backup_selection" "tags" {
  iam_role_arn = aws_iam_role.r.arn
  name         = "tags"
  plan_id      = aws_backup_plan.daily.id
  resources    = ["*"]
  condition {
    string_equals {
      key   = "aws:ResourceTag/backup"
      value = "daily"
    }
    string_like {
      key   = "aws:ResourceTag/team"
      value = "o*"
    }
  }
}
resource "aws_backup_selection" "arns" {
  iam_role_arn = aws_iam_role.r.arn
  name         = "arns"
  plan_id      = aws_backup_plan.daily.id
  resources    = concat([aws_efs_file_system.e.arn, aws_ebs_volume.v.arn], aws_s3_bucket.b[*].arn)
  not_resources = [module.db["orders"].arn]
  selection_tag {
    type  = "STRINGEQUALS"
    key   = "backup"
    value = "weekly"
  }
}
resource "aws_backup_selection" "list" {
  iam_role_arn = aws_iam_role.r.arn
  name         = "list"
  plan_id      = aws_backup_plan.daily.id
  resources    = [aws_dynamodb_table.t.arn, "arn:aws:s3:::x", aws_s3_bucket.b[0].arn, module.db["billing"].arn, "arn:aws:rds:*:*:db:${aws_ebs_volume.v.id}"]
}
resource "aws_backup_region_settings" "s" {
  resource_type_opt_in_preference = { Aurora = true, DynamoDB = true, EBS = true, EC2 = true, EFS = true, FSx = false, RDS = true, S3 = true, "Storage Gateway" = false, VirtualMachine = false }
}
