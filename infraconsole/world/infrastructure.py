"""Builds what the infrastructure repository makes in the emulator: network, keys, exports, registry, databases and the buckets of
states, and the states of its modules."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from datetime import datetime, timedelta
from typing import Any

from moto.backends import get_backend

from infraconsole import naming
from infraconsole.world import tfstate
from infraconsole.world.application import Ground
from infraconsole.world.company import Company
from infraconsole.world.pieces import Tags, listed, make_secret, password
from infraconsole.world.trail import TrailWriter
from infraconsole.world.wire import Wire, first


class Infrastructure:
    def __init__(self, wire: Wire, company: Company, trail: TrailWriter, now: datetime) -> None:
        self._wire = wire
        self._company = company
        self._trail = trail
        self._now = now
        self._database_users: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
        self._resources: defaultdict[tuple[str, str], list[tfstate.StoredResource]] = defaultdict(list)

    def build(self) -> Ground:
        ground = self._ground()
        for environment in self._company.environments:
            self._database(environment, ground)
            self._state_store(environment, ground)
        return ground

    def use_database(self, environment: str, rule: dict[str, Any]) -> None:
        """A service's rule of the shared database's security group, which stands in that one's state too."""
        self._database_users[environment].append(rule)

    def registry(self, service: str) -> None:
        name = naming.ecr_repository(service)
        tags = {**self._company.resource_tags("shared", "shared", name, "ecr"), "Service": service}
        made = self._wire.json(
            "ecr",
            "CreateRepository",
            repositoryName=name,
            imageTagMutability="IMMUTABLE",
            imageScanningConfiguration={"scanOnPush": True},
            tags=listed(tags),
        )["repository"]
        self._keep(f"ecr/{service}", "aws_ecr_repository", "this", tags, id=name)
        self._export(f"ecr/{service}-repository-url", made["repositoryUri"])
        self._export(f"ecr/{service}-repository-arn", made["repositoryArn"])
        for tag in self._company.tags_in_registry(service):
            digest = hashlib.sha256(f"{service}:{tag}".encode()).hexdigest()
            manifest = {
                "schemaVersion": 2,
                "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
                "config": {"digest": f"sha256:{digest}", "size": 7023},
                "layers": [],
            }
            self._wire.json(
                "ecr",
                "PutImage",
                repositoryName=name,
                imageTag=tag,
                imageManifest=json.dumps(manifest),
                imageDigest=f"sha256:{digest}",
            )

    def store_states(self, ground: Ground) -> None:
        """Once all services are there."""
        for environment in self._company.environments:
            self._keep_database_group(environment, ground)
        for (module, environment), kept in self._resources.items():
            bucket = self._company.environments[environment].state_bucket
            key = naming.MODULE_STATE_KEY.format(module=module)
            self._wire.s3("PUT", f"/{bucket}/{key}", tfstate.module_document(self._company, module, kept))
            version = get_backend("s3")[self._company.account]["aws"].buckets[bucket].keys.getlist(key)[-1]
            self._trail.stored(bucket, version, self._company.writer(environment, 1))

    def _ground(self) -> Ground:
        wire, company = self._wire, self._company
        vpc = first(wire.query("ec2", "CreateVpc", CidrBlock=company.network["vpc"]), "vpcId")
        tags = self._tag_ec2(vpc, "shared-vpc", "network")
        self._keep("network", "aws_vpc", "main", tags, id=vpc, cidr=company.network["vpc"], **self._defaults(vpc))
        subnets: dict[str, list[str]] = {}
        for tier in ("public", "private", "data"):
            subnets[tier] = []
            for zone, block in zip(company.zones, company.network[tier], strict=True):
                where = f"{company.region}{zone}"
                xml = wire.query("ec2", "CreateSubnet", VpcId=vpc, CidrBlock=block, AvailabilityZone=where)
                subnet = first(xml, "subnetId")
                tags = self._tag_ec2(subnet, f"shared-{tier}-{zone}", "network", Tier=tier)
                self._keep(
                    "network",
                    "aws_subnet",
                    tier,
                    tags,
                    key=len(subnets[tier]),
                    id=subnet,
                    cidr=block,
                    zone=where,
                    zone_id=first(xml, "availabilityZoneId"),
                    vpc=vpc,
                )
                subnets[tier].append(subnet)
            # The third zone came later.
            before = ",".join(subnets[tier][:2])
            self._export(f"network/{tier}-subnet-ids", ",".join(subnets[tier]), kind="StringList", before=before)
        self._export("network/vpc-id", vpc)
        keys = {}
        for kind in naming.KMS_KINDS:
            tags = company.resource_tags("shared", "shared", f"{kind}-key", "kms")
            description, policy = f"Key for {kind}", _key_policy(company.account)
            listed = [{"TagKey": key, "TagValue": value} for key, value in tags.items()]
            made = wire.json(
                "kms",
                "CreateKey",
                Description=description,
                Policy=policy,
                Tags=listed,
                KeyUsage="ENCRYPT_DECRYPT",
            )
            key_id, keys[kind] = made["KeyMetadata"]["KeyId"], made["KeyMetadata"]["Arn"]
            wire.json("kms", "CreateAlias", AliasName=f"alias/{kind}", TargetKeyId=key_id)
            wire.json("kms", "EnableKeyRotation", KeyId=key_id)
            self._keep("kms", "aws_kms_key", "this", tags, key=kind, id=key_id, description=description, policy=policy)
            self._keep("kms", "aws_kms_alias", "this", key=kind, id=f"alias/{kind}", target=key_id)
            self._export(f"kms/{kind}-key-arn", keys[kind])
        self._export("monitoring/alert-webhook-url", _ALERT_WEBHOOK, kind="SecureString", key=keys["ssm"])
        return Ground(vpc, subnets, keys, {})

    def _database(self, environment: str, ground: Ground) -> None:
        wire, about = self._wire, self._company.environments[environment]
        name = f"{environment}-shared-mysql"
        tags = self._company.resource_tags("shared", environment, name, "rds")
        backup_days = 7 if environment == "prod" else 1
        group = self._security_group(f"{name}-sg", ground.vpc, f"Shared RDS of {environment}", 3306)
        ground.databases[environment] = group
        wire.query(
            "rds",
            "CreateDBSubnetGroup",
            **{
                "DBSubnetGroupName": f"{name}-subnets",
                "DBSubnetGroupDescription": f"Data subnets of {name}",
                "SubnetIds.SubnetIdentifier": ground.subnets["data"],
                "Tags.Tag": listed(tags),
            },
        )
        xml = wire.query(
            "rds",
            "CreateDBInstance",
            **{
                "DBInstanceIdentifier": name,
                "DBInstanceClass": about.database_class,
                "Engine": "mysql",
                "EngineVersion": "8.0.35",
                "MasterUsername": "admin",
                "MasterUserPassword": password(name),
                "AllocatedStorage": 100,
                "StorageType": "gp3",
                "StorageEncrypted": True,
                "KmsKeyId": ground.keys["rds"],
                "MultiAZ": about.multi_az,
                "BackupRetentionPeriod": backup_days,
                "DBSubnetGroupName": f"{name}-subnets",
                "VpcSecurityGroupIds.VpcSecurityGroupId": [group],
                "Tags.Tag": listed(tags),
            },
        )
        address = first(xml, "Address")
        secret_name = f"{name}-master-{self._company.secret_suffix('shared', environment)}"
        secret = make_secret(
            wire,
            secret_name,
            {"username": "admin", "password": password(name), "host": address, "port": 3306},
            tags,
            ground.keys["secrets-manager"],
        )
        self._keep(
            "rds",
            "aws_db_subnet_group",
            "shared",
            tags,
            environment=environment,
            id=f"{name}-subnets",
            description=f"Data subnets of {name}",
            subnets=sorted(ground.subnets["data"]),
            vpc=ground.vpc,
        )
        self._keep(
            "rds",
            "aws_secretsmanager_secret",
            "master",
            tags,
            environment=environment,
            id=secret,
            name=secret_name,
            kms=ground.keys["secrets-manager"],
            recovery_days=30,
        )
        self._keep(
            "rds",
            "aws_db_instance",
            "shared",
            tags,
            environment=environment,
            id=first(xml, "DbiResourceId"),
            name=name,
            address=address,
            backup_days=backup_days,
            groups=[group],
            kms=ground.keys["rds"],
            multi_az=about.multi_az,
            restorable=self._now.strftime("%Y-%m-%dT%H:%M:%SZ"),
            **{"class": about.database_class},
        )
        self._export(f"rds/{environment}/endpoint", f"{address}:3306")
        self._export(f"rds/{environment}/identifier", name)
        self._export(f"rds/{environment}/security-group-id", group)
        self._export(f"rds/{environment}/master-secret-arn", secret)

    def _state_store(self, environment: str, ground: Ground) -> None:
        bucket = self._company.environments[environment].state_bucket
        location = (
            '<CreateBucketConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            f"<LocationConstraint>{self._company.region}</LocationConstraint></CreateBucketConfiguration>"
        )
        versioning = (
            '<VersioningConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            "<Status>Enabled</Status></VersioningConfiguration>"
        )
        encryption = (
            '<ServerSideEncryptionConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Rule>'
            "<ApplyServerSideEncryptionByDefault><SSEAlgorithm>aws:kms</SSEAlgorithm>"
            f"<KMSMasterKeyID>{ground.keys['s3']}</KMSMasterKeyID></ApplyServerSideEncryptionByDefault>"
            "</Rule></ServerSideEncryptionConfiguration>"
        )
        self._wire.s3("PUT", f"/{bucket}", location.encode())
        self._wire.s3("PUT", f"/{bucket}", versioning.encode(), "versioning")
        self._wire.s3("PUT", f"/{bucket}", encryption.encode(), "encryption")

    # Small helpers

    def _export(self, name: str, value: str, kind: str = "String", *, before: str = "", key: str = "") -> None:
        """`before` is the value of the version before; `key` the KMS key of a SecureString."""
        full = f"{naming.EXPORT_ROOT}/{name}"
        tags = self._company.resource_tags("shared", "shared", name.replace("/", "-"), name.split("/")[0])
        description = f"{name.split('/')[-1]} for all services"
        about = {"Name": full, "Type": kind, "Description": description}
        if key:
            about["KeyId"] = key
        self._wire.json("ssm", "PutParameter", **about, Value=before or value, Tags=listed(tags))
        if before:
            self._wire.json("ssm", "PutParameter", **about, Value=value, Overwrite=True)
        versions = get_backend("ssm")[self._company.account][self._company.region]._parameters[full]
        module, environment = self._owner(name)
        label, for_each = _in_code(name)
        self._keep(
            module,
            "aws_ssm_parameter",
            label,
            tags,
            key=for_each,
            environment=environment,
            id=full,
            description=description,
            kind=kind,
            kms=key,
            value=value,
            version=len(versions),
        )
        for days, version in zip((41, 212), reversed(versions), strict=False):
            version.last_modified_date = (self._now - timedelta(days=days)).replace(tzinfo=None)

    def _keep(
        self,
        module: str,
        kind: str,
        label: str,
        tags: Tags | None = None,
        /,
        *,
        key: str | int | None = None,
        environment: str = "prod",
        **values: Any,
    ) -> None:
        """A resource of a module's state. The infrastructure's provider has no default tags."""
        kept = tfstate.StoredResource(kind, label, values, tags or {}, key=key)
        self._resources[(module, environment)].append(kept)

    def _keep_database_group(self, environment: str, ground: Ground) -> None:
        """With the rules of all services, which their own repositories have added."""
        name = f"{environment}-shared-mysql-sg"
        own = tfstate.ingress(3306, "From the VPC", block=self._company.network["vpc"])
        self._keep(
            "rds",
            "aws_security_group",
            "rds",
            self._company.resource_tags("shared", "shared", name, "security-group"),
            environment=environment,
            id=ground.databases[environment],
            name=name,
            description=f"Shared RDS of {environment}",
            ingress=[own, *self._database_users[environment]],
            vpc=ground.vpc,
        )

    def _defaults(self, vpc: str) -> dict[str, str]:
        """What a VPC is born with: network ACL, route table and security group."""
        wire, of_vpc = self._wire, {"Name": "vpc-id", "Value": [vpc]}
        group = [of_vpc, {"Name": "group-name", "Value": ["default"]}]
        return {
            "acl": first(wire.query("ec2", "DescribeNetworkAcls", Filter=[of_vpc]), "networkAclId"),
            "routes": first(wire.query("ec2", "DescribeRouteTables", Filter=[of_vpc]), "routeTableId"),
            "group": first(wire.query("ec2", "DescribeSecurityGroups", Filter=group), "groupId"),
        }

    def _owner(self, name: str) -> tuple[str, str]:
        """The module that an export belongs to, and the environment of its state; prod's bucket has those for all."""
        category, _, rest = name.partition("/")
        if category == "ecr":
            service = next(known for known in self._company.services if rest.startswith(f"{known}-"))
            return f"ecr/{service}", "prod"
        return category, rest.partition("/")[0] if category == "rds" else "prod"

    def _security_group(self, name: str, vpc: str, description: str, port: int) -> str:
        xml = self._wire.query("ec2", "CreateSecurityGroup", GroupName=name, GroupDescription=description, VpcId=vpc)
        group = first(xml, "groupId")
        self._tag_ec2(group, name, "security-group")
        permission = {"IpProtocol": "tcp", "FromPort": port, "ToPort": port}
        permission_range = [{"CidrIp": self._company.network["vpc"], "Description": "From the VPC"}]
        self._wire.query(
            "ec2",
            "AuthorizeSecurityGroupIngress",
            GroupId=group,
            IpPermissions=[{**permission, "IpRanges": permission_range}],
        )
        return group

    def _tag_ec2(self, resource: str, name: str, component: str, **more: str) -> Tags:
        tags = {**self._company.resource_tags("shared", "shared", name, component), **more}
        self._wire.query("ec2", "CreateTags", ResourceId=[resource], Tag=listed(tags))
        return tags


_ALERT_WEBHOOK = "https://alerts.ryuqqq.com/hooks/4f1c0d7be2"


def _in_code(name: str) -> tuple[str, str | None]:
    """What the Terraform code in assets/world calls an export: its label, and its key where it has `for_each`."""
    category, leaf = name.split("/")[0], name.rpartition("/")[2]
    if category == "kms":
        return "key_arn", leaf.removesuffix("-key-arn")
    label = leaf[leaf.index("repository") :] if category == "ecr" else leaf
    return label.replace("-", "_"), None


def _key_policy(account: str) -> str:
    statement = {
        "Sid": "Enable IAM policies",
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{account}:root"},
        "Action": "kms:*",
        "Resource": "*",
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})
