variable "name" {}
variable "password" {}
resource "aws_rds_cluster" "c" {
  cluster_identifier  = var.name
  engine              = "aurora-mysql"
  master_username     = "root"
  master_password     = var.password
  skip_final_snapshot = true
}
resource "aws_rds_cluster_instance" "i" {
  count              = 2
  cluster_identifier = aws_rds_cluster.c.id
  instance_class     = "db.t3.medium"
  engine             = aws_rds_cluster.c.engine
}
resource "aws_db_instance" "d" {
  engine              = "postgres"
  instance_class      = "db.t3.micro"
  allocated_storage   = 20
  username            = "u"
  password            = var.password
  skip_final_snapshot = true
  tags                = { Name = var.name }
}
output "arn" { value = aws_db_instance.d.arn }
output "cluster" { value = aws_rds_cluster.c.arn }
